using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Serverless.Inference.Kernels;

/// <summary>
/// Products of one group of 16 rows with one vector or with a tile of four. Each output is computed in one order of operations, the same in every method and every set:
/// for each block, in order, an exact integer sum, then y = fma(sum, d·scale, y) and y = fma(m, scaled sum, y); of the scaled formats y = fma(sum, (d·s)·scale, y), for
/// each s, and y = fma(m·t, scaled sum, y). So a result does not depend on what else is computed, nor on the set.
/// </summary>
internal abstract unsafe class KernelSet
{
    /// <summary>The sets this machine can run, the best first.</summary>
    public static IReadOnlyList<KernelSet> Available { get; } = Detect();

    public abstract string Name { get; }

    public abstract void FourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y);

    public abstract void FourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride);

    public abstract void EightBitOne(byte* w, int blocks, int* x, float* scales, float* y);

    public abstract void EightBitTile(byte* w, int blocks, int* x, float* scales, float* y, int stride);

    /// <summary>Blocks come in eights behind their headers.</summary>
    public abstract void ScaledFourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y);

    public abstract void ScaledFourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride);

    /// <summary>A header comes before each <paramref name="headerBlocks"/> blocks.</summary>
    public abstract void ScaledEightBitOne(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y);

    public abstract void ScaledEightBitTile(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y, int stride);

    /// <summary>y = fma(w, x, y) for each column in order.</summary>
    public abstract void FloatOne(float* w, int columns, float* x, float* y);

    /// <summary>The same of 16-bit floats.</summary>
    public abstract void HalfOne(ushort* w, int columns, float* x, float* y);

    /// <summary>The same of the upper halves of 32-bit floats.</summary>
    public abstract void UpperHalfOne(ushort* w, int columns, float* x, float* y);

    private static List<KernelSet> Detect()
    {
        List<KernelSet> sets = [];
        if (Avx512BW.IsSupported && Vector512.IsHardwareAccelerated) sets.Add(new Avx512Kernels());
        if (Avx2.IsSupported && Fma.IsSupported) sets.Add(new Avx2Kernels());
        sets.Add(new PortableKernels());
        return sets;
    }
}
