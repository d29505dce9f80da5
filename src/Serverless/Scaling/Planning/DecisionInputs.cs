namespace Serverless.Scaling.Planning;

/// <summary>The numbers behind one decision, in the planner's units. Immutable plain data.</summary>
public sealed record DecisionInputs
{
    /// <summary>Seconds since the demand was true.</summary>
    public double DemandAge { get; init; }

    /// <summary>Requests that wait.</summary>
    public int PendingRequests { get; init; }

    /// <summary>Their prompt tokens.</summary>
    public double PendingPromptTokens { get; init; }

    /// <summary>Their expected output tokens.</summary>
    public double PendingOutputTokens { get; init; }

    /// <summary>Of the waiting requests those that nobody waits for.</summary>
    public int DeferredRequests { get; init; }

    /// <summary>Requests that run.</summary>
    public int RunningRequests { get; init; }

    /// <summary>Prompt tokens that arrive per second.</summary>
    public double PromptTokensPerSecond { get; init; }

    /// <summary>Expected output tokens that arrive per second.</summary>
    public double OutputTokensPerSecond { get; init; }

    /// <summary>Replicas that take work.</summary>
    public int Ready { get; init; }

    /// <summary>Replicas on their way.</summary>
    public int Loading { get; init; }

    /// <summary>μ_p, prompt tokens per second of one replica.</summary>
    public double PrefillRate { get; init; }

    /// <summary>Share of the prompt tokens that prefix caches are expected to supply.</summary>
    public double CachedPromptShare { get; init; }

    /// <summary>μ_d, output tokens per second of one replica.</summary>
    public double DecodeRate { get; init; }

    /// <summary>L in seconds.</summary>
    public double ColdStartSeconds { get; init; }

    /// <summary>w: what waits and runs, in replica-seconds.</summary>
    public double WorkSeconds { get; init; }

    /// <summary>What arrives, in replicas fully used.</summary>
    public double Load { get; init; }

    /// <summary>Replicas that the arrivals need.</summary>
    public int ForArrivals { get; init; }

    /// <summary>Replicas kept warm for the loads that were seen lately.</summary>
    public int Warm { get; init; }

    /// <summary>Replicas that drain the backlog in time.</summary>
    public int ForBacklog { get; init; }

    /// <summary>Replicas whose KV caches hold the work.</summary>
    public int ForKvCache { get; init; }

    /// <summary>Replicas whose slots hold the running requests.</summary>
    public int ForSlots { get; init; }

    /// <summary>The largest of these, before bounds and window.</summary>
    public int Wanted { get; init; }
}
