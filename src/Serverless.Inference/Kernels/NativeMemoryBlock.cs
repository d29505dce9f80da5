using System.Runtime.InteropServices;

namespace Serverless.Inference.Kernels;

/// <summary>
/// Zeroed memory aligned to cache lines, outside the garbage-collected heap; freed on disposal or, at the latest, by the finalizer. Of a large block only what was touched takes memory.
/// </summary>
internal sealed unsafe class NativeMemoryBlock : SafeHandle
{
    private const int Alignment = 64;

    private readonly nint _whole;

    /// <summary>Allocates at least <paramref name="bytes"/>, with room behind for one vector to be read past the end.</summary>
    public NativeMemoryBlock(long bytes)
        : base(0, ownsHandle: true)
    {
        ByteLength = bytes;
        _whole = (nint)NativeMemory.AllocZeroed((nuint)(bytes + (2 * Alignment)));
        SetHandle((_whole + Alignment - 1) / Alignment * Alignment);
    }

    public long ByteLength { get; }

    public override bool IsInvalid => handle == 0;

    public byte* Bytes => (byte*)handle;

    public float* Floats => (float*)handle;

    protected override bool ReleaseHandle()
    {
        NativeMemory.Free((void*)_whole);
        return true;
    }
}
