using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Serverless.Inference.Kernels;

/// <summary>The formats whose blocks have scales of their own, in two halves of eight lanes: for every machine with AVX2.</summary>
[SuppressMessage("Design", "MA0051", Justification = "A kernel is its unrolled loop.")]
internal static unsafe class ScaledKernels
{
    private const int Half = 8;
    private const int FourBitBytes = 288;
    private const int EightBitBytes = 576;
    private const int Ahead = 2048;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y)
    {
        var low = Vector256.Create((short)15);
        var (lower, upper) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var block = 0; block < blocks;)
        {
            var (dL, dH, mL, mH) = (Avx2Kernels.Widen(w), Avx2Kernels.Widen(w + 16), Avx2Kernels.Widen(w + 32), Avx2Kernels.Widen(w + 48));
            w += PackedMatrix.HeaderBytes;
            for (var end = block + PackedMatrix.HeaderBlocks; block < end; block++, w += FourBitBytes, x += 16, scales++, sums++)
            {
                for (var line = 0; line < FourBitBytes; line += 64) Sse.Prefetch0(w + Ahead + line);
                var (aL, aH) = (Vector256<int>.Zero, Vector256<int>.Zero);
                for (var j = 0; j < 8; j++)
                {
                    var (nL, nH) = (Avx2.ConvertToVector256Int16(w + 32 + (32 * j)), Avx2.ConvertToVector256Int16(w + 48 + (32 * j)));
                    var s = Vector256.Create(x[j]).AsInt16();
                    aL += Avx2.MultiplyAddAdjacent(nL & low, s);
                    aH += Avx2.MultiplyAddAdjacent(nH & low, s);
                    var t = Vector256.Create(x[j + 8]).AsInt16();
                    aL += Avx2.MultiplyAddAdjacent(Avx2.ShiftRightLogical(nL, 4), t);
                    aH += Avx2.MultiplyAddAdjacent(Avx2.ShiftRightLogical(nH, 4), t);
                }

                var (scale, sum) = (Vector256.Create(*scales), Vector256.Create(*sums));
                lower = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aL), dL * Bytes(w) * scale, lower);
                lower = Fma.MultiplyAdd(mL * Bytes(w + 16), sum, lower);
                upper = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aH), dH * Bytes(w + Half) * scale, upper);
                upper = Fma.MultiplyAdd(mH * Bytes(w + 16 + Half), sum, upper);
            }
        }

        lower.Store(y);
        upper.Store(y + Half);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        FourBitTileHalf(w, 0, blocks, x, scales, sums, y, stride);
        FourBitTileHalf(w, Half, blocks, x, scales, sums, y + Half, stride);
    }

    /// <summary>A header comes before each <paramref name="headerBlocks"/> blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void EightBitOne(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y)
    {
        var (lower, upper) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var block = 0; block < blocks;)
        {
            var (dL, dH, mL, mH) = (Avx2Kernels.Widen(w), Avx2Kernels.Widen(w + 16), Avx2Kernels.Widen(w + 32), Avx2Kernels.Widen(w + 48));
            w += PackedMatrix.HeaderBytes;
            for (var end = block + headerBlocks; block < end; block++, w += EightBitBytes, x += 16, scales++, sums++)
            {
                for (var line = 0; line < EightBitBytes; line += 64) Sse.Prefetch0(w + Ahead + line);
                var scale = Vector256.Create(*scales);
                for (var half = 0; half < 2; half++)
                {
                    var (aL, aH) = (Vector256<int>.Zero, Vector256<int>.Zero);
                    for (var j = 8 * half; j < (8 * half) + 8; j++)
                    {
                        var s = Vector256.Create(x[j]).AsInt16();
                        aL += Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16((sbyte*)(w + 64 + (32 * j))), s);
                        aH += Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16((sbyte*)(w + 80 + (32 * j))), s);
                    }

                    lower = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aL), dL * SignedBytes(w + (16 * half)) * scale, lower);
                    upper = Fma.MultiplyAdd(Avx.ConvertToVector256Single(aH), dH * SignedBytes(w + (16 * half) + Half) * scale, upper);
                }

                var sum = Vector256.Create(*sums);
                lower = Fma.MultiplyAdd(mL * Bytes(w + 32), sum, lower);
                upper = Fma.MultiplyAdd(mH * Bytes(w + 32 + Half), sum, upper);
            }
        }

        lower.Store(y);
        upper.Store(y + Half);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void EightBitTile(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        EightBitTileHalf(w, 0, (blocks, headerBlocks), x, scales, sums, y, stride);
        EightBitTileHalf(w, Half, (blocks, headerBlocks), x, scales, sums, y + Half, stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourBitTileHalf(byte* w, int row, int blocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        var low = Vector256.Create((short)15);
        var (y0, y1, y2, y3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var block = 0; block < blocks;)
        {
            var (d, m) = (Avx2Kernels.Widen(w + (2 * row)), Avx2Kernels.Widen(w + 32 + (2 * row)));
            w += PackedMatrix.HeaderBytes;
            for (var end = block + PackedMatrix.HeaderBlocks; block < end; block++, w += FourBitBytes, x += 64, scales += 4, sums += 4)
            {
                var (a0, a1, a2, a3) = (Vector256<int>.Zero, Vector256<int>.Zero, Vector256<int>.Zero, Vector256<int>.Zero);
                for (var j = 0; j < 8; j++)
                {
                    var n = Avx2.ConvertToVector256Int16(w + 32 + (32 * j) + (2 * row));
                    var p = n & low;
                    a0 += Avx2.MultiplyAddAdjacent(p, Vector256.Create(x[4 * j]).AsInt16());
                    a1 += Avx2.MultiplyAddAdjacent(p, Vector256.Create(x[(4 * j) + 1]).AsInt16());
                    a2 += Avx2.MultiplyAddAdjacent(p, Vector256.Create(x[(4 * j) + 2]).AsInt16());
                    a3 += Avx2.MultiplyAddAdjacent(p, Vector256.Create(x[(4 * j) + 3]).AsInt16());
                    var q = Avx2.ShiftRightLogical(n, 4);
                    a0 += Avx2.MultiplyAddAdjacent(q, Vector256.Create(x[(4 * j) + 32]).AsInt16());
                    a1 += Avx2.MultiplyAddAdjacent(q, Vector256.Create(x[(4 * j) + 33]).AsInt16());
                    a2 += Avx2.MultiplyAddAdjacent(q, Vector256.Create(x[(4 * j) + 34]).AsInt16());
                    a3 += Avx2.MultiplyAddAdjacent(q, Vector256.Create(x[(4 * j) + 35]).AsInt16());
                }

                var (s, t) = (d * Bytes(w + row), m * Bytes(w + 16 + row));
                y0 = Fma.MultiplyAdd(t, Vector256.Create(sums[0]), Fma.MultiplyAdd(Avx.ConvertToVector256Single(a0), s * Vector256.Create(scales[0]), y0));
                y1 = Fma.MultiplyAdd(t, Vector256.Create(sums[1]), Fma.MultiplyAdd(Avx.ConvertToVector256Single(a1), s * Vector256.Create(scales[1]), y1));
                y2 = Fma.MultiplyAdd(t, Vector256.Create(sums[2]), Fma.MultiplyAdd(Avx.ConvertToVector256Single(a2), s * Vector256.Create(scales[2]), y2));
                y3 = Fma.MultiplyAdd(t, Vector256.Create(sums[3]), Fma.MultiplyAdd(Avx.ConvertToVector256Single(a3), s * Vector256.Create(scales[3]), y3));
            }
        }

        y0.Store(y);
        y1.Store(y + stride);
        y2.Store(y + (2 * stride));
        y3.Store(y + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightBitTileHalf(byte* w, int row, (int Blocks, int HeaderBlocks) length, int* x, float* scales, float* sums, float* y, int stride)
    {
        var (y0, y1, y2, y3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var block = 0; block < length.Blocks;)
        {
            var (d, m) = (Avx2Kernels.Widen(w + (2 * row)), Avx2Kernels.Widen(w + 32 + (2 * row)));
            w += PackedMatrix.HeaderBytes;
            for (var end = block + length.HeaderBlocks; block < end; block++, w += EightBitBytes, x += 64, scales += 4, sums += 4)
            {
                for (var half = 0; half < 2; half++)
                {
                    var (a0, a1, a2, a3) = (Vector256<int>.Zero, Vector256<int>.Zero, Vector256<int>.Zero, Vector256<int>.Zero);
                    for (var j = 8 * half; j < (8 * half) + 8; j++)
                    {
                        var n = Avx2.ConvertToVector256Int16((sbyte*)(w + 64 + (32 * j) + (2 * row)));
                        a0 += Avx2.MultiplyAddAdjacent(n, Vector256.Create(x[4 * j]).AsInt16());
                        a1 += Avx2.MultiplyAddAdjacent(n, Vector256.Create(x[(4 * j) + 1]).AsInt16());
                        a2 += Avx2.MultiplyAddAdjacent(n, Vector256.Create(x[(4 * j) + 2]).AsInt16());
                        a3 += Avx2.MultiplyAddAdjacent(n, Vector256.Create(x[(4 * j) + 3]).AsInt16());
                    }

                    var s = d * SignedBytes(w + (16 * half) + row);
                    y0 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a0), s * Vector256.Create(scales[0]), y0);
                    y1 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a1), s * Vector256.Create(scales[1]), y1);
                    y2 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a2), s * Vector256.Create(scales[2]), y2);
                    y3 = Fma.MultiplyAdd(Avx.ConvertToVector256Single(a3), s * Vector256.Create(scales[3]), y3);
                }

                var t = m * Bytes(w + 32 + row);
                y0 = Fma.MultiplyAdd(t, Vector256.Create(sums[0]), y0);
                y1 = Fma.MultiplyAdd(t, Vector256.Create(sums[1]), y1);
                y2 = Fma.MultiplyAdd(t, Vector256.Create(sums[2]), y2);
                y3 = Fma.MultiplyAdd(t, Vector256.Create(sums[3]), y3);
            }
        }

        y0.Store(y);
        y1.Store(y + stride);
        y2.Store(y + (2 * stride));
        y3.Store(y + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Bytes(byte* eight) => Avx.ConvertToVector256Single(Avx2.ConvertToVector256Int32(eight));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> SignedBytes(byte* eight) => Avx.ConvertToVector256Single(Avx2.ConvertToVector256Int32((sbyte*)eight));
}
