namespace Serverless.Scaling.Planning;

/// <summary>What is assumed of an accelerator class before it was measured. Wrong by ten it costs about twenty requests.</summary>
public sealed record ClassPrior
{
    /// <summary>μ_p, prompt tokens per second of one replica. Default: 1,000.</summary>
    public double PrefillTokensPerSecond { get; init; } = 1000;

    /// <summary>μ_d, output tokens per second of one replica over all its slots. Default: 200.</summary>
    public double DecodeTokensPerSecond { get; init; } = 200;

    /// <summary>Requests at once. Default: 16.</summary>
    public int Slots { get; init; } = 16;

    /// <summary>Tokens its KV cache holds. Default: 32,768.</summary>
    public long KvTokens { get; init; } = 32_768;

    /// <summary>L. Default: 3 s.</summary>
    public TimeSpan ColdStart { get; init; } = TimeSpan.FromSeconds(3);
}
