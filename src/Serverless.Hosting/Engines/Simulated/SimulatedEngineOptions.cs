namespace Serverless.Hosting.Engines.Simulated;

/// <summary>The timing of a simulated engine; without rates it costs nothing.</summary>
internal sealed record SimulatedEngineOptions
{
    public int Slots { get; init; } = 64;

    public long KvTokens { get; init; } = 1 << 20;

    /// <summary>Prompt tokens per second; 0: at once.</summary>
    public double PrefillTokensPerSecond { get; init; }

    /// <summary>Output tokens per second over all that runs; 0: at once.</summary>
    public double DecodeTokensPerSecond { get; init; }

    /// <summary>Tokens of an answer, where its cap allows.</summary>
    public int OutputTokens { get; init; } = 16;

    /// <summary>Every so manieth request fails; 0: none.</summary>
    public int FailEvery { get; init; }

    /// <summary>With every so manieth request the whole engine is lost; 0: never.</summary>
    public int CrashEvery { get; init; }

    /// <summary>Tokens a request gets before it fails.</summary>
    public int FailAfterTokens { get; init; }
}
