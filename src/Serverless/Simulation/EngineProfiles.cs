namespace Serverless.Simulation;

/// <summary>
/// Profiles of a 7–8 B model in 16 bits (Llama-3.1-8B: 16.1 GB of weights, 131,072 bytes of KV cache per token) under vLLM. Each figure is the vendor's rate times the share of it that
/// published runs reach; <c>docs/scaling.md</c> lists rates, shares and sources.
/// </summary>
public static class EngineProfiles
{
    private const double Weights = 16.1e9;
    private const double KvBytes = 131_072;
    private const double FlopPerToken = 16.1e9;

    /// <summary>A10 24 GB: 600 GB/s, 125 TFLOP/s.</summary>
    public static EngineProfile A10 { get; } = Of("a10", 600e9, 125e12, 0.45, 22e9, 60, 1.21);

    /// <summary>L4 24 GB: 300 GB/s, 121 TFLOP/s, of which its 72 W let a third be used.</summary>
    public static EngineProfile L4 { get; } = Of("l4", 300e9, 121e12, 0.35, 22e9, 60, 0.80);

    /// <summary>A100 80 GB: 2,039 GB/s, 312 TFLOP/s.</summary>
    public static EngineProfile A100 { get; } = Of("a100", 2039e9, 312e12, 0.55, 72e9, 60, 3.67);

    /// <summary>H100 80 GB SXM: 3,350 GB/s, 989 TFLOP/s.</summary>
    public static EngineProfile H100 { get; } = Of("h100", 3350e9, 989e12, 0.45, 72e9, 60, 6.98);

    /// <summary>All of them.</summary>
    public static IReadOnlyList<EngineProfile> All { get; } = [A10, L4, A100, H100];

    /// <summary>The profile of that name; null if there is none.</summary>
    public static EngineProfile? Find(string name) => All.FirstOrDefault(profile => string.Equals(profile.Name, name, StringComparison.OrdinalIgnoreCase));

    private static EngineProfile Of(string name, double bandwidth, double compute, double computeShare, double usableBytes, double coldStart, double price)
    {
        // Decoding reaches 77 % of the memory's rate at one sequence (75 tokens/s on 1,555 GB/s); the rest of a step is the same for all.
        const double BandwidthShare = 0.77;
        var prefill = compute * computeShare / FlopPerToken;
        return new EngineProfile
        {
            Name = name,
            PrefillTokensPerSecond = Math.Round(prefill),
            StepSeconds = Weights / (bandwidth * BandwidthShare),
            StepSecondsPerSequence = 1 / prefill,
            StepSecondsPerKvToken = KvBytes / (bandwidth * BandwidthShare),
            KvTokens = (long)((usableBytes - Weights - 1e9) / KvBytes),
            ColdStartSeconds = coldStart,
            HourlyPrice = price,
        };
    }
}
