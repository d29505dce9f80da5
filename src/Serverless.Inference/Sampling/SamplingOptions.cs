namespace Serverless.Inference.Sampling;

/// <summary>How the next token is chosen. Immutable.</summary>
public sealed record SamplingOptions
{
    /// <summary>The most probable token, always.</summary>
    public static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    /// <summary>0 is greedy; above it logits are divided by it.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>The smallest set of the most probable tokens whose probability reaches this is drawn from; 1 is all.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Only so many of the most probable tokens are drawn from; 0 is all.</summary>
    public int TopK { get; init; }

    /// <summary>Tokens less probable than this share of the most probable one are left out; 0 is none.</summary>
    public double MinP { get; init; }

    /// <summary>Taken off the logit of each token that was generated before.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Taken off the logit of a token for each time it was generated before.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Added to the logits of tokens.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>Whether logits need to be changed before a token is drawn.</summary>
    internal bool Adjusts => PresencePenalty != 0 || FrequencyPenalty != 0 || LogitBias.Count > 0;
}
