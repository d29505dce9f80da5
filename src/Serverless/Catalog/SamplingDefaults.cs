namespace Serverless.Catalog;

/// <summary>How a model's tokens are chosen where a request says nothing; what is null here is as OpenAI has it.</summary>
public sealed record SamplingDefaults
{
    /// <summary>Says nothing.</summary>
    public static SamplingDefaults None { get; } = new();

    /// <summary><c>temperature</c>, 0 to 2.</summary>
    public double? Temperature { get; init; }

    /// <summary><c>top_p</c>, 0 to 1.</summary>
    public double? TopP { get; init; }

    /// <summary><c>top_k</c>, 0 (all) and more.</summary>
    public int? TopK { get; init; }

    /// <summary><c>min_p</c>, 0 to 1.</summary>
    public double? MinP { get; init; }

    /// <summary><c>presence_penalty</c>, −2 to 2.</summary>
    public double? PresencePenalty { get; init; }

    /// <summary><c>frequency_penalty</c>, −2 to 2.</summary>
    public double? FrequencyPenalty { get; init; }

    /// <summary>These, and where they say nothing the others.</summary>
    public SamplingDefaults Over(SamplingDefaults others)
    {
        ArgumentNullException.ThrowIfNull(others);
        return new SamplingDefaults
        {
            Temperature = Temperature ?? others.Temperature,
            TopP = TopP ?? others.TopP,
            TopK = TopK ?? others.TopK,
            MinP = MinP ?? others.MinP,
            PresencePenalty = PresencePenalty ?? others.PresencePenalty,
            FrequencyPenalty = FrequencyPenalty ?? others.FrequencyPenalty,
        };
    }
}
