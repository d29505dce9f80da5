using Serverless.Catalog;

namespace Serverless.Demand;

/// <summary>What the scaler sees of one model, published by its dispatcher. Immutable; all counts ≥ 0 and all rates finite.</summary>
public sealed record ModelDemand
{
    /// <summary>Which model.</summary>
    public required ModelName Model { get; init; }

    /// <summary>
    /// When it was last true. As published: by the publisher's clock. As read from a feed: by the reader's, from how long ago it came or was renewed, so that no two machines' clocks
    /// are ever compared.
    /// </summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>Requests accepted and not yet assigned.</summary>
    public int PendingRequests { get; init; }

    /// <summary>Their prompt tokens.</summary>
    public long PendingPromptTokens { get; init; }

    /// <summary>Their expected output tokens: the cap, or less once output lengths are learned.</summary>
    public long PendingOutputTokens { get; init; }

    /// <summary>Their bodies' bytes.</summary>
    public long PendingBytes { get; init; }

    /// <summary>What organizations wait for; the largest 32.</summary>
    public IReadOnlyList<PendingShare> PendingByOrganization { get; init; } = [];

    /// <summary>When the oldest pending one was accepted; null if none is pending.</summary>
    public DateTimeOffset? OldestPendingAt { get; init; }

    /// <summary>Requests assigned and not ended.</summary>
    public int RunningRequests { get; init; }

    /// <summary>Sequences that the pending ones ask for: prompts × choices. Each takes a slot. 0 of a dispatcher that does not say.</summary>
    public int PendingSequences { get; init; }

    /// <summary>Sequences that the running ones take. 0 of a dispatcher that does not say.</summary>
    public int RunningSequences { get; init; }

    /// <summary>Tokens the running ones hold or may come to hold: prompt and output cap.</summary>
    public long RunningTokens { get; init; }

    /// <summary>Output tokens the running ones are still expected to generate.</summary>
    public long RunningOutputTokens { get; init; }

    /// <summary>Arrival rate of prompt tokens per second, smoothed.</summary>
    public double PromptTokensPerSecond { get; init; }

    /// <summary>Arrival rate of expected output tokens per second, smoothed.</summary>
    public double OutputTokensPerSecond { get; init; }

    /// <summary>Arrival rate of requests per second, smoothed over 30 s; null while not told.</summary>
    public double? RequestsPerSecond { get; init; }

    /// <summary>Share of the expected output tokens (pending, running, arriving) that answers really take on average: they are expected with a margin. 1 while unknown.</summary>
    public double OutputShare { get; init; } = 1;

    /// <summary>Arrival rate of prompt tokens per second over the last few seconds: the height of a burst. 0 while unknown.</summary>
    public double RecentPromptTokensPerSecond { get; init; }

    /// <summary>The part of the pending work that nobody waits for (lane batch), in order of deadline; the rest is wanted as soon as possible. Bounded.</summary>
    public IReadOnlyList<DueWork> Deferred { get; init; } = [];

    /// <summary>The earliest deadline of the pending requests that somebody waits for; null if there are none.</summary>
    public DateTimeOffset? EarliestDeadline { get; init; }

    /// <summary>The pending tokens, prompt and expected output together, by lane: element <c>(int)lane</c>; those of a turn that waits for the one before it in its conversation are in none. Empty: not told, all of them are taken to be ahead of everyone.</summary>
    public IReadOnlyList<long> PendingTokensByLane { get; init; } = [];

    /// <summary>Tokens, prompt and output, of requests that ended, per second in which there was work and a replica, smoothed: how fast what waits is worked off. 0 while unknown.</summary>
    public double ServedTokensPerSecond { get; init; }

    /// <summary>Seconds that a request takes at a replica, from its assignment to its end, on average over the last few dozens. 0 before there were a few.</summary>
    public double RunSeconds { get; init; }

    /// <summary>Output tokens of those requests, on average.</summary>
    public double RunOutputTokens { get; init; }

    /// <summary>The model's connected replicas.</summary>
    public IReadOnlyList<ReplicaDemand> Replicas { get; init; } = [];

    /// <summary>Whether anything is pending or running.</summary>
    public bool HasWork => PendingRequests > 0 || RunningRequests > 0;

    /// <summary>How long ago it was last true, to whoever read it from a feed; never negative.</summary>
    public TimeSpan Age(DateTimeOffset now) => now > At ? now - At : TimeSpan.Zero;

    /// <summary>What a request takes at a replica that may generate so many tokens: no longer than others did, zero while unknown.</summary>
    public TimeSpan RunTime(long mostTokens) => RunTimes.Of(RunSeconds, RunOutputTokens, mostTokens);
}
