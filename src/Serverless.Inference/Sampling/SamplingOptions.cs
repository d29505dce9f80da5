namespace Serverless.Inference.Sampling;

/// <summary>How the next token is chosen. Immutable.</summary>
/// <remarks>
/// In this order: bias and penalties change logits; a temperature of 0 takes the most probable. Else logits are divided by the temperature, and of what they make probable
/// <see cref="MinP"/>, <see cref="TopK"/>, <see cref="TypicalP"/> and <see cref="TopP"/> leave, one after the other, what is drawn from.
/// </remarks>
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

    /// <summary>The smallest set of the tokens nearest to the expected surprise whose probability reaches this is drawn from (Meister et al., TACL 2023); 1 is all.</summary>
    public double TypicalP { get; init; } = 1;

    /// <summary>Taken off the logit of each token that was generated before.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Taken off the logit of a token for each time it was generated before.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>The logit of a token of prompt or output is divided by this where it is above 0, else multiplied by it (Keskar et al., 2019); 1 changes nothing.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>The penalty of what would go on a repetition; null: none.</summary>
    public DryOptions? Dry { get; init; }

    /// <summary>Added to the logits of tokens.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();
}
