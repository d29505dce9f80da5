using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>
/// Keys and values of 32 tokens in all layers. Keys lie column-wise, so that scores of many positions are computed in the lanes of a vector; values lie row-wise.
/// <code>layer, head: keys [head size][32 positions] | values [32 positions][head size]</code>
/// </summary>
internal sealed unsafe class KeyValuePage(ModelConfig config) : IDisposable
{
    public const int Tokens = 32;

    private readonly NativeMemoryBlock _memory = new((long)config.Layers * config.KeyValueSize * Tokens * 2 * sizeof(float));

    public float* Keys(int layer, int head) => _memory.Floats + ((((long)layer * config.KeyValueHeads) + head) * config.HeadSize * Tokens * 2);

    public float* Values(int layer, int head) => Keys(layer, head) + (config.HeadSize * Tokens);

    public void Dispose() => _memory.Dispose();
}
