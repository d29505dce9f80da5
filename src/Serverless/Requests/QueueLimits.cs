namespace Serverless.Requests;

/// <summary>
/// Bounds of one model's queue, from section <c>Queue</c>; raising one costs memory while the model's pools are at zero or full. They bound what organizations take beyond their fair
/// shares: <see cref="QueueGauge"/> says how much more a queue holds when many fill it.
/// </summary>
public sealed record QueueLimits
{
    /// <summary>The section of configuration.</summary>
    public const string Section = "Queue";

    /// <summary>Requests. Default: 100,000.</summary>
    public int MaxRequests { get; init; } = 100_000;

    /// <summary>Tokens, prompt and output caps together. Default: 100 million.</summary>
    public long MaxTokens { get; init; } = 100_000_000;

    /// <summary>Bytes of bodies. Default: 256 MiB.</summary>
    public long MaxBytes { get; init; } = 256L << 20;

    /// <summary>Bytes of bodies that one process holds in its queues, over all models. One organization takes at most as much of it as it leaves free. Default: 1 GiB.</summary>
    public long MaxTotalBytes { get; init; } = 1L << 30;

    /// <summary>The share of each bound that one organization may take even while nobody else wants it. Default: 1.</summary>
    public double TenantShare { get; init; } = 1;

    /// <summary>What is wrong with these: each names the key, the value and the range.</summary>
    public IEnumerable<string> Faults()
    {
        if (MaxRequests < 1) yield return Fault(nameof(MaxRequests), MaxRequests);
        if (MaxTokens < 1) yield return Fault(nameof(MaxTokens), MaxTokens);
        if (MaxBytes < 1) yield return Fault(nameof(MaxBytes), MaxBytes);
        if (MaxTotalBytes < 1) yield return Fault(nameof(MaxTotalBytes), MaxTotalBytes);
        if (!(TenantShare is > 0 and <= 1)) yield return FormattableString.Invariant($"{Section}:{nameof(TenantShare)} is {TenantShare}; it must be above 0 and at most 1.");
    }

    private static string Fault(string name, long value) => FormattableString.Invariant($"{Section}:{name} is {value}; it must be at least 1.");
}
