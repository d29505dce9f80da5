using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>The weights of one layer; query, key and value below each other in one stack, gate and up in another. What a kind of model has not is null.</summary>
internal sealed record LayerWeights : IDisposable
{
    public Norm? AttentionNorm { get; init; }

    public required MatrixStack QueryKeyValue { get; init; }

    /// <summary>As an output of <see cref="QueryKeyValue"/> lies.</summary>
    public NativeMemoryBlock? QueryKeyValueBias { get; init; }

    /// <summary>Where keys begin in an output of <see cref="QueryKeyValue"/>.</summary>
    public required int KeyStart { get; init; }

    public required int ValueStart { get; init; }

    public Norm? QueryNorm { get; init; }

    public Norm? KeyNorm { get; init; }

    public required MatrixStack AttentionOutput { get; init; }

    public NativeMemoryBlock? AttentionOutputBias { get; init; }

    public Norm? AfterAttention { get; init; }

    public Norm? FeedForwardNorm { get; init; }

    /// <summary>The router's weights and the experts; else null, and <see cref="Feed"/> is the whole layer's.</summary>
    public ExpertWeights? Experts { get; init; }

    public FeedWeights? Feed { get; init; }

    public Norm? AfterFeedForward { get; init; }

    public void Dispose()
    {
        foreach (var part in (IDisposable?[])[AttentionNorm, QueryKeyValue, QueryKeyValueBias, QueryNorm, KeyNorm, AttentionOutput, AttentionOutputBias, AfterAttention, FeedForwardNorm, Experts, Feed, AfterFeedForward])
        {
            part?.Dispose();
        }
    }
}

/// <summary>The matrices of a feed-forward layer or of one expert.</summary>
/// <param name="Up">Gate and up, or up alone.</param>
/// <param name="UpStart">Where up begins in an output of <paramref name="Up"/>.</param>
/// <param name="UpBias">As an output of <paramref name="Up"/> lies.</param>
/// <param name="Down">Down.</param>
/// <param name="DownBias">As an output of <paramref name="Down"/> lies.</param>
internal sealed record FeedWeights(MatrixStack Up, int UpStart, NativeMemoryBlock? UpBias, MatrixStack Down, NativeMemoryBlock? DownBias) : IDisposable
{
    public void Dispose()
    {
        Up.Dispose();
        UpBias?.Dispose();
        Down.Dispose();
        DownBias?.Dispose();
    }
}

/// <summary>A router's matrix and its experts.</summary>
internal sealed record ExpertWeights(MatrixStack Router, FeedWeights[] Experts) : IDisposable
{
    public void Dispose()
    {
        Router.Dispose();
        foreach (var expert in Experts) expert.Dispose();
    }
}
