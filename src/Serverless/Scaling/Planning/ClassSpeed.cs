using Serverless.Catalog;

namespace Serverless.Scaling.Planning;

/// <summary>What one replica of a class does, as the planner reckons with it: learned where something was learned, else assumed.</summary>
/// <param name="PrefillTokensPerSecond">μ_p.</param>
/// <param name="DecodeTokensPerSecond">μ_d, over all slots at the batch that slots and KV cache allow.</param>
/// <param name="Slots">Requests at once.</param>
/// <param name="KvTokens">Tokens planned for in its KV cache.</param>
/// <param name="ColdStartSeconds">L: mean and twice the mean deviation.</param>
internal readonly record struct ClassSpeed(double PrefillTokensPerSecond, double DecodeTokensPerSecond, int Slots, double KvTokens, double ColdStartSeconds)
{
    /// <summary>Share of prompt tokens that need no prefill: a prefix cache is expected to supply them, as it lately did.</summary>
    public double CachedPromptShare { get; init; }

    /// <summary>
    /// What decoding was seen to do, where all that was seen is one size of batch: how much more a larger one does is then the prior's word alone. No replica is given up on it.
    /// </summary>
    public double SeenDecodeTokensPerSecond { get; init; } = DecodeTokensPerSecond;

    public static ClassSpeed Of(LearnedRates learned, Flavor flavor, PlannerOptions options)
    {
        var prior = options.PriorOf(flavor.AcceleratorClass);

        // The batch that the dispatcher fills a replica to: it uses the whole cache, the plan a share of it.
        var slots = learned.Slots > 0 ? learned.Slots : prior.Slots;
        var kv = (learned.KvTokens > 0 ? learned.KvTokens : prior.KvTokens) * options.KvTarget;
        var batch = learned.TokensPerRequest > 0 ? Math.Clamp(kv / options.KvTarget / learned.TokensPerRequest, 1, slots) : slots;
        var decode = DecodeCurve.Rate(learned.Steps, prior, batch);
        var coldStart = learned.ColdStartSeconds > 0 ? learned.ColdStartSeconds + (2 * learned.ColdStartDeviation) : (flavor.FirstLoad ?? prior.ColdStart).TotalSeconds;
        var prefill = learned.PrefillTokensPerSecond > 0 ? learned.PrefillTokensPerSecond : prior.PrefillTokensPerSecond;
        return new ClassSpeed(prefill, decode, slots, kv, Math.Max(coldStart, 1e-3))
        {
            CachedPromptShare = double.IsFinite(learned.CachedPromptShare) ? Math.Clamp(learned.CachedPromptShare, 0, 1) : 0,
            SeenDecodeTokensPerSecond = learned.SeesOneBatch ? Math.Min(decode, learned.Steps.Max(step => step.Sequences / step.Seconds)) : decode,
        };
    }
}
