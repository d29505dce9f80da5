using System.Collections.Immutable;

namespace Serverless.Scaling.Planning;

/// <summary>What was learned of a model on an accelerator class. Immutable plain data: it is kept in state as JSON.</summary>
public sealed record LearnedClass
{
    private const int Enough = 10;

    /// <summary>Nothing measured yet.</summary>
    public static LearnedClass Nothing { get; } = new();

    /// <summary>μ_p; 0 while unmeasured.</summary>
    public double PrefillTokensPerSecond { get; init; }

    /// <summary>Share of prompt tokens that the prefix caches of its replicas supply; 0 while none was seen.</summary>
    public double CachedPromptShare { get; init; }

    /// <summary>Steps by powers of two of their sequences, ascending.</summary>
    public ImmutableArray<LearnedStep> Steps { get; init; } = [];

    /// <summary>Whether both rates rest on more than a few reports.</summary>
    internal bool IsMeasured => PrefillTokensPerSecond > 0 && Steps.Sum(step => step.Samples) >= Enough;

    /// <summary>Whether steps of one size of batch were seen and of others none, or few.</summary>
    internal bool SeesOneBatch => !Steps.IsEmpty && Steps.Count(step => step.Samples >= Enough) < 2;

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
}
