using System.Collections.Immutable;
using Serverless.Catalog;

namespace Serverless.Scaling.Planning;

/// <summary>What was learned of a pool's replicas. Immutable plain data: it is kept in state as JSON.</summary>
public sealed record LearnedRates
{
    internal const int Enough = 10;

    /// <summary>Nothing measured yet.</summary>
    public static LearnedRates Nothing { get; } = new();

    /// <summary>μ_p; 0 while unmeasured.</summary>
    public double PrefillTokensPerSecond { get; init; }

    /// <summary>Reports it rests on; counted up to a bound.</summary>
    public int PrefillSamples { get; init; }

    /// <summary>Share of prompt tokens that the prefix caches of its replicas supply; 0 while none was seen.</summary>
    public double CachedPromptShare { get; init; }

    /// <summary>Steps by powers of two of their sequences, ascending.</summary>
    public ImmutableArray<LearnedStep> Steps { get; init; } = [];

    /// <summary>Whether steps of one size of batch were seen and of others none, or few.</summary>
    internal bool SeesOneBatch => !Steps.IsDefaultOrEmpty && Steps.Count(step => step.IsKnown) < 2;

    /// <summary>Mean cold start in seconds; 0 before the first.</summary>
    public double ColdStartSeconds { get; init; }

    /// <summary>Mean absolute deviation of cold starts, in seconds.</summary>
    public double ColdStartDeviation { get; init; }

    /// <summary>The cold start learned from last: the same figure is not learned from twice.</summary>
    public double LastColdStartSeconds { get; init; }

    /// <summary>Slots of a replica as last seen; 0 while none was.</summary>
    public int Slots { get; init; }

    /// <summary>KV tokens of a replica as last seen; 0 while none was.</summary>
    public long KvTokens { get; init; }

    /// <summary>Tokens that one running request holds or may come to hold, smoothed; 0 while unknown.</summary>
    public double TokensPerRequest { get; init; }

    /// <summary>When rates were last learned from.</summary>
    public DateTimeOffset LearnedAt { get; init; }

    /// <summary>Whether the rates that its work takes rest on more than a few reports: a decode pool prefills nothing, a prefill pool and one of embeddings decode nothing.</summary>
    internal bool IsMeasured(PoolRole role, bool decodes)
    {
        var steps = Steps.IsDefault ? 0 : Steps.Sum(step => step.Samples);
        return role switch
        {
            PoolRole.Decode => steps >= Enough,
            PoolRole.Prefill => PrefillSamples >= Enough,
            _ => PrefillTokensPerSecond > 0 && (steps >= Enough || (!decodes && steps == 0 && PrefillSamples >= Enough)),
        };
    }

    /// <summary>One more report of the prefill rate.</summary>
    internal LearnedRates WithPrefill(double rate, ClassPrior prior) => this with
    {
        PrefillTokensPerSecond = ClippedMean.Move(PrefillTokensPerSecond > 0 ? PrefillTokensPerSecond : prior.PrefillTokensPerSecond, rate),
        PrefillSamples = Math.Min(PrefillSamples + 1, Enough),
    };
}

/// <summary>What decoding steps of about this many sequences take.</summary>
/// <param name="Sequences">Their number when first seen.</param>
/// <param name="Seconds">Of one step, smoothed.</param>
/// <param name="Samples">Seen; counted up to a bound.</param>
public readonly record struct LearnedStep(double Sequences, double Seconds, int Samples)
{
    /// <summary>Whether it rests on more than a few samples.</summary>
    internal bool IsKnown => Samples >= LearnedRates.Enough;
}

/// <summary>A running mean, in logarithms, that one bad sample cannot move far.</summary>
internal static class ClippedMean
{
    /// <summary>Share of the way, in logarithms, that one sample moves an estimate.</summary>
    public const double Step = 0.25;

    /// <summary>A sample counts as at most this many times larger or smaller than the estimate: so one moves it by at most 2^0.25, 19 %, and twenty get it anywhere within a factor of thirty.</summary>
    public const double Clip = 2;

    /// <summary>The estimate after a sample; samples that are not finite and positive are ignored.</summary>
    public static double Move(double estimate, double sample) =>
        !Usable(sample) ? estimate : estimate * Math.Pow(Math.Clamp(sample / estimate, 1 / Clip, Clip), Step);

    /// <summary>Whether a measured figure means anything.</summary>
    public static bool Usable(double sample) => double.IsFinite(sample) && sample is > 1e-9 and < 1e12;
}
