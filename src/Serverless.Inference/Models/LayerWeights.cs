using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>The weights of one layer; query, key and value below each other in one matrix, gate and up in another.</summary>
internal sealed record LayerWeights(
    NativeMemoryBlock AttentionNorm, PackedMatrix QueryKeyValue, PackedMatrix AttentionOutput, NativeMemoryBlock FeedForwardNorm, PackedMatrix GateUp, PackedMatrix Down) : IDisposable
{
    public long ByteLength => QueryKeyValue.ByteLength + AttentionOutput.ByteLength + GateUp.ByteLength + Down.ByteLength;

    public void Dispose()
    {
        AttentionNorm.Dispose();
        QueryKeyValue.Dispose();
        AttentionOutput.Dispose();
        FeedForwardNorm.Dispose();
        GateUp.Dispose();
        Down.Dispose();
    }
}
