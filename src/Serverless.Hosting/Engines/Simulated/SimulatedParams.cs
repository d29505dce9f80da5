using Serverless.Catalog.Engines;

namespace Serverless.Hosting.Engines.Simulated;

/// <summary>The params of the simulated engine: manifests are checked by this table, the engine reads by it, and docs/manifests.md shows it.</summary>
internal static class SimulatedParams
{
    /// <summary>Requests at once.</summary>
    public static FlavorParam Slots { get; } = new("slots", 1, 4096, Whole: true, "requests at once") { Default = 64 };

    /// <summary>Tokens of KV cache.</summary>
    public static FlavorParam KvTokens { get; } = new(FlavorParam.KvTokens, 64, int.MaxValue, Whole: true, "tokens of KV cache") { Default = 1 << 20 };

    /// <summary>Speed of reading.</summary>
    public static FlavorParam PrefillTokensPerSecond { get; } = new("prefillTokensPerSecond", 0, 1e9, Whole: false, "prompt tokens a second; 0: at once") { Default = 0 };

    /// <summary>Speed of writing.</summary>
    public static FlavorParam DecodeTokensPerSecond { get; } = new("decodeTokensPerSecond", 0, 1e9, Whole: false, "output tokens a second, over all that runs; 0: at once") { Default = 0 };

    /// <summary>Length of an answer.</summary>
    public static FlavorParam OutputTokens { get; } = new("outputTokens", 1, 1 << 20, Whole: true, "tokens of an answer, where its cap allows") { Default = 16 };

    /// <summary>Time of a load.</summary>
    public static FlavorParam LoadSeconds { get; } = new("loadSeconds", 0, 86_400, Whole: false, "how long a load takes") { Default = 0 };

    /// <summary>Loads that fail.</summary>
    public static FlavorParam FailLoads { get; } = new("failLoads", 0, int.MaxValue, Whole: true, "so many first loads fail, on purpose") { Default = 0 };

    /// <summary>Requests that fail.</summary>
    public static FlavorParam FailEvery { get; } = new("failEvery", 0, int.MaxValue, Whole: true, "every so manieth request fails, on purpose; 0: none") { Default = 0 };

    /// <summary>Requests that take the engine along.</summary>
    public static FlavorParam CrashEvery { get; } = new("crashEvery", 0, int.MaxValue, Whole: true, "with every so manieth request the engine is lost, on purpose; 0: never") { Default = 0 };

    /// <summary>How far a failing request gets.</summary>
    public static FlavorParam FailAfterTokens { get; } = new("failAfterTokens", 0, int.MaxValue, Whole: true, "tokens that a request gets before it fails") { Default = 0 };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<FlavorParam> All { get; } =
        [Slots, KvTokens, PrefillTokensPerSecond, DecodeTokensPerSecond, OutputTokens, LoadSeconds, FailLoads, FailEvery, CrashEvery, FailAfterTokens];
}
