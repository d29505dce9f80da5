using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Serverless.Inference.Kernels;

/// <summary>A group's sixteen rows in two halves of eight lanes, one half after the other.</summary>
[SuppressMessage("Design", "MA0051", Justification = "A kernel is its unrolled loop.")]
internal sealed unsafe class Avx2Kernels : KernelSet
{
    private const int Half = 8;
    private const int Ahead = 2048;

    public override string Name => "avx2";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y)
    {
        var low = Vector256.Create((short)15);
        var yL0 = Vector256<float>.Zero;
        var yH0 = Vector256<float>.Zero;
        for (var block = 0; block < blocks; block++, w += 320, x += 16, scales += 1, sums += 1)
        {
            Sse.Prefetch0(w + Ahead);
            Sse.Prefetch0(w + Ahead + 64);
            Sse.Prefetch0(w + Ahead + 128);
            Sse.Prefetch0(w + Ahead + 192);
            Sse.Prefetch0(w + Ahead + 256);
            var aL0 = Vector256<int>.Zero;
            var aH0 = Vector256<int>.Zero;
            for (var j = 0; j < 8; j++)
            {
                var nL = Avx2.ConvertToVector256Int16(w + 64 + (32 * j));
                var nH = Avx2.ConvertToVector256Int16(w + 64 + (32 * j) + (2 * Half));
                var pL = nL & low;
                var pH = nH & low;
                var s0 = Vector256.Create(x[j]).AsInt16();
                aL0 += Avx2.MultiplyAddAdjacent(pL, s0);
                aH0 += Avx2.MultiplyAddAdjacent(pH, s0);
                var qL = Avx2.ShiftRightLogical(nL, 4);
                var qH = Avx2.ShiftRightLogical(nH, 4);
                var t0 = Vector256.Create(x[j + 8]).AsInt16();
                aL0 += Avx2.MultiplyAddAdjacent(qL, t0);
                aH0 += Avx2.MultiplyAddAdjacent(qH, t0);
            }

            var dL = Widen(w);
            var mL = Widen(w + 32);
            var dH = Widen(w + (2 * Half));
            var mH = Widen(w + 32 + (2 * Half));
            yL0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aL0), dL * Vector256.Create(scales[0]), yL0);
            yL0 = Fma.MultiplyAdd(mL, Vector256.Create(sums[0]), yL0);
            yH0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aH0), dH * Vector256.Create(scales[0]), yH0);
            yH0 = Fma.MultiplyAdd(mH, Vector256.Create(sums[0]), yH0);
        }

        yL0.Store(y);
        yH0.Store(y + Half);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        FourBitTileHalf(w, 0, blocks, x, scales, sums, y, stride);
        FourBitTileHalf(w, Half, blocks, x, scales, sums, y + Half, stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourBitTileHalf(byte* w, int row, int blocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        var low = Vector256.Create((short)15);
        var y0 = Vector256<float>.Zero;
        var y1 = Vector256<float>.Zero;
        var y2 = Vector256<float>.Zero;
        var y3 = Vector256<float>.Zero;
        for (var block = 0; block < blocks; block++, w += 320, x += 64, scales += 4, sums += 4)
        {
            var a0 = Vector256<int>.Zero;
            var a1 = Vector256<int>.Zero;
            var a2 = Vector256<int>.Zero;
            var a3 = Vector256<int>.Zero;
            for (var j = 0; j < 8; j++)
            {
                var n = Avx2.ConvertToVector256Int16(w + 64 + (32 * j) + (2 * row));
                var p = n & low;
                var s0 = Vector256.Create(x[(4 * j) + 0]).AsInt16();
                a0 += Avx2.MultiplyAddAdjacent(p, s0);
                var s1 = Vector256.Create(x[(4 * j) + 1]).AsInt16();
                a1 += Avx2.MultiplyAddAdjacent(p, s1);
                var s2 = Vector256.Create(x[(4 * j) + 2]).AsInt16();
                a2 += Avx2.MultiplyAddAdjacent(p, s2);
                var s3 = Vector256.Create(x[(4 * j) + 3]).AsInt16();
                a3 += Avx2.MultiplyAddAdjacent(p, s3);
                var q = Avx2.ShiftRightLogical(n, 4);
                var t0 = Vector256.Create(x[(4 * j) + 32]).AsInt16();
                a0 += Avx2.MultiplyAddAdjacent(q, t0);
                var t1 = Vector256.Create(x[(4 * j) + 33]).AsInt16();
                a1 += Avx2.MultiplyAddAdjacent(q, t1);
                var t2 = Vector256.Create(x[(4 * j) + 34]).AsInt16();
                a2 += Avx2.MultiplyAddAdjacent(q, t2);
                var t3 = Vector256.Create(x[(4 * j) + 35]).AsInt16();
                a3 += Avx2.MultiplyAddAdjacent(q, t3);
            }

            var d = Widen(w + (2 * row));
            var m = Widen(w + 32 + (2 * row));
            y0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a0), d * Vector256.Create(scales[0]), y0);
            y0 = Fma.MultiplyAdd(m, Vector256.Create(sums[0]), y0);
            y1 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a1), d * Vector256.Create(scales[1]), y1);
            y1 = Fma.MultiplyAdd(m, Vector256.Create(sums[1]), y1);
            y2 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a2), d * Vector256.Create(scales[2]), y2);
            y2 = Fma.MultiplyAdd(m, Vector256.Create(sums[2]), y2);
            y3 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a3), d * Vector256.Create(scales[3]), y3);
            y3 = Fma.MultiplyAdd(m, Vector256.Create(sums[3]), y3);
        }

        y0.Store(y);
        y1.Store(y + stride);
        y2.Store(y + (2 * stride));
        y3.Store(y + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void EightBitOne(byte* w, int blocks, int* x, float* scales, float* y)
    {
        var yL0 = Vector256<float>.Zero;
        var yH0 = Vector256<float>.Zero;
        for (var block = 0; block < blocks; block++, w += 544, x += 16, scales += 1)
        {
            Sse.Prefetch0(w + Ahead);
            Sse.Prefetch0(w + Ahead + 64);
            Sse.Prefetch0(w + Ahead + 128);
            Sse.Prefetch0(w + Ahead + 192);
            Sse.Prefetch0(w + Ahead + 256);
            Sse.Prefetch0(w + Ahead + 320);
            Sse.Prefetch0(w + Ahead + 384);
            Sse.Prefetch0(w + Ahead + 448);
            Sse.Prefetch0(w + Ahead + 512);
            var aL0 = Vector256<int>.Zero;
            var aH0 = Vector256<int>.Zero;
            for (var j = 0; j < 16; j++)
            {
                var nL = Avx2.ConvertToVector256Int16((sbyte*)(w + 32 + (32 * j)));
                var nH = Avx2.ConvertToVector256Int16((sbyte*)(w + 32 + (32 * j) + (2 * Half)));
                var s0 = Vector256.Create(x[j]).AsInt16();
                aL0 += Avx2.MultiplyAddAdjacent(nL, s0);
                aH0 += Avx2.MultiplyAddAdjacent(nH, s0);
            }

            var dL = Widen(w);
            var dH = Widen(w + (2 * Half));
            yL0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aL0), dL * Vector256.Create(scales[0]), yL0);
            yH0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aH0), dH * Vector256.Create(scales[0]), yH0);
        }

        yL0.Store(y);
        yH0.Store(y + Half);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void EightBitTile(byte* w, int blocks, int* x, float* scales, float* y, int stride)
    {
        EightBitTileHalf(w, 0, blocks, x, scales, y, stride);
        EightBitTileHalf(w, Half, blocks, x, scales, y + Half, stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightBitTileHalf(byte* w, int row, int blocks, int* x, float* scales, float* y, int stride)
    {
        var y0 = Vector256<float>.Zero;
        var y1 = Vector256<float>.Zero;
        var y2 = Vector256<float>.Zero;
        var y3 = Vector256<float>.Zero;
        for (var block = 0; block < blocks; block++, w += 544, x += 64, scales += 4)
        {
            var a0 = Vector256<int>.Zero;
            var a1 = Vector256<int>.Zero;
            var a2 = Vector256<int>.Zero;
            var a3 = Vector256<int>.Zero;
            for (var j = 0; j < 16; j++)
            {
                var n = Avx2.ConvertToVector256Int16((sbyte*)(w + 32 + (32 * j) + (2 * row)));
                var s0 = Vector256.Create(x[4 * j]).AsInt16();
                a0 += Avx2.MultiplyAddAdjacent(n, s0);
                var s1 = Vector256.Create(x[(4 * j) + 1]).AsInt16();
                a1 += Avx2.MultiplyAddAdjacent(n, s1);
                var s2 = Vector256.Create(x[(4 * j) + 2]).AsInt16();
                a2 += Avx2.MultiplyAddAdjacent(n, s2);
                var s3 = Vector256.Create(x[(4 * j) + 3]).AsInt16();
                a3 += Avx2.MultiplyAddAdjacent(n, s3);
            }

            var d = Widen(w + (2 * row));
            y0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a0), d * Vector256.Create(scales[0]), y0);
            y1 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a1), d * Vector256.Create(scales[1]), y1);
            y2 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a2), d * Vector256.Create(scales[2]), y2);
            y3 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a3), d * Vector256.Create(scales[3]), y3);
        }

        y0.Store(y);
        y1.Store(y + stride);
        y2.Store(y + (2 * stride));
        y3.Store(y + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FloatOne(float* w, int columns, float* x, float* y)
    {
        var (lower, upper) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var column = 0; column < columns; column++, w += 16)
        {
            var value = Vector256.Create(x[column]);
            lower = Fma.MultiplyAdd(Vector256.Load(w), value, lower);
            upper = Fma.MultiplyAdd(Vector256.Load(w + Half), value, upper);
        }

        lower.Store(y);
        upper.Store(y + Half);
    }

    public override void ScaledFourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y) => ScaledKernels.FourBitOne(w, blocks, x, scales, sums, y);

    public override void ScaledFourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride) => ScaledKernels.FourBitTile(w, blocks, x, scales, sums, y, stride);

    public override void ScaledEightBitOne(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y) =>
        ScaledKernels.EightBitOne(w, blocks, headerBlocks, x, scales, sums, y);

    public override void ScaledEightBitTile(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y, int stride) =>
        ScaledKernels.EightBitTile(w, blocks, headerBlocks, x, scales, sums, y, stride);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void HalfOne(ushort* w, int columns, float* x, float* y)
    {
        var (lower, upper) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var column = 0; column < columns; column++, w += 16)
        {
            var value = Vector256.Create(x[column]);
            lower = Fma.MultiplyAdd(Widen((byte*)w), value, lower);
            upper = Fma.MultiplyAdd(Widen((byte*)(w + Half)), value, upper);
        }

        lower.Store(y);
        upper.Store(y + Half);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void UpperHalfOne(ushort* w, int columns, float* x, float* y)
    {
        var (lower, upper) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var column = 0; column < columns; column++, w += 16)
        {
            var value = Vector256.Create(x[column]);
            lower = Fma.MultiplyAdd(Vector256.ShiftLeft(Avx2.ConvertToVector256Int32(w), 16).AsSingle(), value, lower);
            upper = Fma.MultiplyAdd(Vector256.ShiftLeft(Avx2.ConvertToVector256Int32(w + Half), 16).AsSingle(), value, upper);
        }

        lower.Store(y);
        upper.Store(y + Half);
    }

    /// <summary>Half to single precision by shifting the bits into place and correcting the exponent's bias; infinities do not occur in weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Widen(byte* halves)
    {
        var bits = Vector256.ShiftLeft(Avx2.ConvertToVector256Int32((short*)(halves)), 13) & Vector256.Create(unchecked((int)0x8FFFE000));
        return bits.AsSingle() * Vector256.Create(5.192296858534828e33f);
    }
}
