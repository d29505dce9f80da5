namespace Serverless.Simulation;

/// <summary>What a replay showed.</summary>
public sealed record ReplayResult
{
    /// <summary>Name of the trace.</summary>
    public required string Trace { get; init; }

    /// <summary>Name and setting of the policy.</summary>
    public required string Policy { get; init; }

    /// <summary>Requests counted.</summary>
    public required int Requests { get; init; }

    /// <summary>Replica-hours from "asked for" to gone, loading and draining included.</summary>
    public required double GpuHours { get; init; }

    /// <summary>Share of requests whose first token came within 2 s + 2 × their unloaded prefill.</summary>
    public required double Attainment { get; init; }

    /// <summary>Median time to first token in seconds.</summary>
    public required double FirstTokenP50 { get; init; }

    /// <summary>99th percentile of the time to first token in seconds.</summary>
    public required double FirstTokenP99 { get; init; }

    /// <summary>Changes of the replicas asked for.</summary>
    public required int ScaleEvents { get; init; }

    /// <summary>Most replicas there were at once.</summary>
    public required int PeakReplicas { get; init; }

    /// <summary>The course, every ten seconds.</summary>
    public required IReadOnlyList<ReplayPoint> Course { get; init; }
}
