using System.Runtime.InteropServices;

namespace Serverless.Inference.Kernels;

/// <summary>Zeroed memory aligned to cache lines, outside the garbage-collected heap; freed on disposal or, at the latest, by the finalizer.</summary>
internal sealed unsafe class NativeMemoryBlock : SafeHandle
{
    private const int Alignment = 64;

    /// <summary>Allocates at least <paramref name="bytes"/>, with room behind for one vector to be read past the end.</summary>
    public NativeMemoryBlock(long bytes)
        : base(0, ownsHandle: true)
    {
        ByteLength = bytes;
        var length = (nuint)(bytes + Alignment);
        SetHandle((nint)NativeMemory.AlignedAlloc(length, Alignment));
        NativeMemory.Clear((void*)handle, length);
    }

    public long ByteLength { get; }

    public override bool IsInvalid => handle == 0;

    public byte* Bytes => (byte*)handle;

    public float* Floats => (float*)handle;

    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }
}
