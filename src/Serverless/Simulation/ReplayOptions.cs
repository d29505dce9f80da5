using Serverless.Scaling.Planning;

namespace Serverless.Simulation;

/// <summary>Around a replay.</summary>
public sealed record ReplayOptions
{
    /// <summary>The replicas' class. Default: A10.</summary>
    public EngineProfile Profile { get; init; } = EngineProfiles.A10;

    /// <summary>Replicas that are never exceeded. Default: 64.</summary>
    public int MaxReplicas { get; init; } = 64;

    /// <summary>Requests that arrive from this second on are counted, and GPU time from it. Default: 0.</summary>
    public double CountFrom { get; init; }

    /// <summary>Cap that every request asks for, in output tokens; one that generated more asks for what it generated. Default: 1,024.</summary>
    public int MaxOutputTokens { get; init; } = 1024;

    /// <summary>Seconds for which the time to first token may exceed twice its unloaded prefill. Default: 2.</summary>
    public double FirstTokenSlack { get; init; } = 2;

    /// <summary>Spread of cold starts: each takes its profile's seconds times a factor in 1 ± this. Default: 0.1.</summary>
    public double ColdStartSpread { get; init; } = 0.1;

    /// <summary>The planner's constants, where it is the policy. Default: its own.</summary>
    public PlannerOptions Planner { get; init; } = new();

    /// <summary>Seed of what is drawn (cold starts). Default: 1.</summary>
    public int Seed { get; init; } = 1;
}
