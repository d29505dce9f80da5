using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Serverless.Inference.Kernels;

/// <summary>A group's sixteen rows in the lanes of one 512-bit vector.</summary>
[SuppressMessage("Design", "MA0051", Justification = "A kernel is its unrolled loop.")]
internal sealed unsafe class Avx512Kernels : KernelSet
{
    private const int Ahead = 2048;

    public override string Name => "avx512";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y)
    {
        var low = Vector512.Create((short)15);
        var y0 = Vector512<float>.Zero;
        for (var block = 0; block < blocks; block++, w += 320, x += 16, scales += 1, sums += 1)
        {
            Sse.Prefetch0(w + Ahead);
            Sse.Prefetch0(w + Ahead + 64);
            Sse.Prefetch0(w + Ahead + 128);
            Sse.Prefetch0(w + Ahead + 192);
            Sse.Prefetch0(w + Ahead + 256);
            var a0 = Vector512<int>.Zero;
            for (var j = 0; j < 8; j++)
            {
                var n = Avx512BW.ConvertToVector512Int16(Vector256.Load(w + 64 + (32 * j)));
                var p = n & low;
                var s0 = Vector512.Create(x[j]).AsInt16();
                a0 += Avx512BW.MultiplyAddAdjacent(p, s0);
                var q = Avx512BW.ShiftRightLogical(n, 4);
                var t0 = Vector512.Create(x[j + 8]).AsInt16();
                a0 += Avx512BW.MultiplyAddAdjacent(q, t0);
            }

            var d = Widen(w);
            var m = Widen(w + 32);
            y0 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a0), d * Vector512.Create(scales[0]), y0);
            y0 = Avx512F.FusedMultiplyAdd(m, Vector512.Create(sums[0]), y0);
        }

        y0.Store(y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        var low = Vector512.Create((short)15);
        var y0 = Vector512<float>.Zero;
        var y1 = Vector512<float>.Zero;
        var y2 = Vector512<float>.Zero;
        var y3 = Vector512<float>.Zero;
        for (var block = 0; block < blocks; block++, w += 320, x += 64, scales += 4, sums += 4)
        {
            var a0 = Vector512<int>.Zero;
            var a1 = Vector512<int>.Zero;
            var a2 = Vector512<int>.Zero;
            var a3 = Vector512<int>.Zero;
            for (var j = 0; j < 8; j++)
            {
                var n = Avx512BW.ConvertToVector512Int16(Vector256.Load(w + 64 + (32 * j)));
                var p = n & low;
                var s0 = Vector512.Create(x[(4 * j) + 0]).AsInt16();
                a0 += Avx512BW.MultiplyAddAdjacent(p, s0);
                var s1 = Vector512.Create(x[(4 * j) + 1]).AsInt16();
                a1 += Avx512BW.MultiplyAddAdjacent(p, s1);
                var s2 = Vector512.Create(x[(4 * j) + 2]).AsInt16();
                a2 += Avx512BW.MultiplyAddAdjacent(p, s2);
                var s3 = Vector512.Create(x[(4 * j) + 3]).AsInt16();
                a3 += Avx512BW.MultiplyAddAdjacent(p, s3);
                var q = Avx512BW.ShiftRightLogical(n, 4);
                var t0 = Vector512.Create(x[(4 * j) + 32]).AsInt16();
                a0 += Avx512BW.MultiplyAddAdjacent(q, t0);
                var t1 = Vector512.Create(x[(4 * j) + 33]).AsInt16();
                a1 += Avx512BW.MultiplyAddAdjacent(q, t1);
                var t2 = Vector512.Create(x[(4 * j) + 34]).AsInt16();
                a2 += Avx512BW.MultiplyAddAdjacent(q, t2);
                var t3 = Vector512.Create(x[(4 * j) + 35]).AsInt16();
                a3 += Avx512BW.MultiplyAddAdjacent(q, t3);
            }

            var d = Widen(w);
            var m = Widen(w + 32);
            y0 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a0), d * Vector512.Create(scales[0]), y0);
            y0 = Avx512F.FusedMultiplyAdd(m, Vector512.Create(sums[0]), y0);
            y1 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a1), d * Vector512.Create(scales[1]), y1);
            y1 = Avx512F.FusedMultiplyAdd(m, Vector512.Create(sums[1]), y1);
            y2 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a2), d * Vector512.Create(scales[2]), y2);
            y2 = Avx512F.FusedMultiplyAdd(m, Vector512.Create(sums[2]), y2);
            y3 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a3), d * Vector512.Create(scales[3]), y3);
            y3 = Avx512F.FusedMultiplyAdd(m, Vector512.Create(sums[3]), y3);
        }

        y0.Store(y);
        y1.Store(y + stride);
        y2.Store(y + (2 * stride));
        y3.Store(y + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void EightBitOne(byte* w, int blocks, int* x, float* scales, float* y)
    {
        var y0 = Vector512<float>.Zero;
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
            var a0 = Vector512<int>.Zero;
            for (var j = 0; j < 16; j++)
            {
                var n = Avx512BW.ConvertToVector512Int16(Vector256.Load((sbyte*)(w + 32 + (32 * j))));
                var s0 = Vector512.Create(x[j]).AsInt16();
                a0 += Avx512BW.MultiplyAddAdjacent(n, s0);
            }

            var d = Widen(w);
            y0 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a0), d * Vector512.Create(scales[0]), y0);
        }

        y0.Store(y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void EightBitTile(byte* w, int blocks, int* x, float* scales, float* y, int stride)
    {
        var y0 = Vector512<float>.Zero;
        var y1 = Vector512<float>.Zero;
        var y2 = Vector512<float>.Zero;
        var y3 = Vector512<float>.Zero;
        for (var block = 0; block < blocks; block++, w += 544, x += 64, scales += 4)
        {
            var a0 = Vector512<int>.Zero;
            var a1 = Vector512<int>.Zero;
            var a2 = Vector512<int>.Zero;
            var a3 = Vector512<int>.Zero;
            for (var j = 0; j < 16; j++)
            {
                var n = Avx512BW.ConvertToVector512Int16(Vector256.Load((sbyte*)(w + 32 + (32 * j))));
                var s0 = Vector512.Create(x[4 * j]).AsInt16();
                a0 += Avx512BW.MultiplyAddAdjacent(n, s0);
                var s1 = Vector512.Create(x[(4 * j) + 1]).AsInt16();
                a1 += Avx512BW.MultiplyAddAdjacent(n, s1);
                var s2 = Vector512.Create(x[(4 * j) + 2]).AsInt16();
                a2 += Avx512BW.MultiplyAddAdjacent(n, s2);
                var s3 = Vector512.Create(x[(4 * j) + 3]).AsInt16();
                a3 += Avx512BW.MultiplyAddAdjacent(n, s3);
            }

            var d = Widen(w);
            y0 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a0), d * Vector512.Create(scales[0]), y0);
            y1 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a1), d * Vector512.Create(scales[1]), y1);
            y2 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a2), d * Vector512.Create(scales[2]), y2);
            y3 = Avx512F.FusedMultiplyAdd(Avx512F.ConvertToVector512Single(a3), d * Vector512.Create(scales[3]), y3);
        }

        y0.Store(y);
        y1.Store(y + stride);
        y2.Store(y + (2 * stride));
        y3.Store(y + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FloatOne(float* w, int columns, float* x, float* y)
    {
        var sum = Vector512<float>.Zero;
        for (var column = 0; column < columns; column++, w += 16) sum = Avx512F.FusedMultiplyAdd(Vector512.Load(w), Vector512.Create(x[column]), sum);
        sum.Store(y);
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
        var sum = Vector512<float>.Zero;
        for (var column = 0; column < columns; column++, w += 16) sum = Avx512F.FusedMultiplyAdd(Widen((byte*)w), Vector512.Create(x[column]), sum);
        sum.Store(y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void UpperHalfOne(ushort* w, int columns, float* x, float* y)
    {
        var sum = Vector512<float>.Zero;
        for (var column = 0; column < columns; column++, w += 16)
        {
            var value = Vector512.ShiftLeft(Avx512F.ConvertToVector512Int32(Vector256.Load(w)), 16).AsSingle();
            sum = Avx512F.FusedMultiplyAdd(value, Vector512.Create(x[column]), sum);
        }

        sum.Store(y);
    }

    /// <summary>Half to single precision by shifting the bits into place and correcting the exponent's bias; infinities do not occur in weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widen(byte* halves)
    {
        var bits = Vector512.ShiftLeft(Avx512F.ConvertToVector512Int32(Vector256.Load((short*)(halves))), 13) & Vector512.Create(unchecked((int)0x8FFFE000));
        return bits.AsSingle() * Vector512.Create(5.192296858534828e33f);
    }
}
