using Serverless.Catalog;

namespace Serverless.Demand;

/// <summary>One connected replica in a <see cref="ModelDemand"/>.</summary>
/// <param name="Replica">The worker's name.</param>
/// <param name="Pool">Its pool.</param>
/// <param name="Draining">Takes no more work.</param>
/// <param name="Running">Requests assigned to it.</param>
/// <param name="Slots">Sequences it runs at once.</param>
/// <param name="KvUsedTokens">Tokens in its KV cache.</param>
/// <param name="KvCapacityTokens">Tokens its KV cache holds.</param>
/// <param name="PrefillTokensPerSecond">Measured; 0 while unknown.</param>
/// <param name="DecodeTokensPerSecond">Measured; 0 while unknown.</param>
public sealed record ReplicaDemand(
    string Replica,
    PoolName Pool,
    bool Draining,
    int Running,
    int Slots,
    long KvUsedTokens,
    long KvCapacityTokens,
    double PrefillTokensPerSecond,
    double DecodeTokensPerSecond)
{
    /// <summary>Share of the prompt tokens of requests lately ended that its prefix cache supplied, 0 to 1; null while unknown.</summary>
    public double? CachedPromptShare { get; init; }

    /// <summary>Slots that are taken, one for each sequence of what runs; 0 of a dispatcher that does not say.</summary>
    public int Sequences { get; init; }

    /// <summary>Its engine is still loading: slots and rates are not known yet.</summary>
    public bool Loading { get; init; }

    /// <summary>When it was asked for; null where nobody knows.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>Of a loading one: the share that is done, 0 to 1.</summary>
    public double LoadingProgress { get; init; }

    /// <summary>Of a loading one: it pulls its model's files still, and the share is of their bytes.</summary>
    public bool Pulling { get; init; }
}
