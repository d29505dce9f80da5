namespace Serverless.Scaling;

/// <summary>What a rendered ScaledObject needs to know beside its pool. The defaults are what the tests on the real KEDA run with, their clocks apart.</summary>
public sealed record ScaledObjectOptions
{
    /// <summary>The scaler, <c>host:port</c>; a headless Service reaches all of its replicas. The same for all pools: KEDA keeps one connection per address and never closes it.</summary>
    public required string ScalerAddress { get; init; }

    /// <summary>Where the workload is.</summary>
    public required string Namespace { get; init; }

    /// <summary>The workload's API version. Default: <c>apps/v1</c>.</summary>
    public string TargetApiVersion { get; init; } = "apps/v1";

    /// <summary>The workload's kind. Default: <c>Deployment</c>.</summary>
    public string TargetKind { get; init; } = "Deployment";

    /// <summary>The TriggerAuthentication with <c>caCert</c>, <c>tlsClientCert</c> and <c>tlsClientKey</c>, in the same namespace; null: plain text. Default: null.</summary>
    public string? Authentication { get; init; }

    /// <summary>How often KEDA polls. The push brings work from zero at once, so polls only keep a pool up and take it down; each costs four calls. Default: 15 s.</summary>
    public TimeSpan PollingInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a pool stays up after its last activity, where its model does not say; longer than any outage of all scalers that it shall survive. Default: 5 min.</summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long the HPA holds the highest answer before it goes down. The planner has a window of its own, so this is only for answers that cross. Default: 15 s.</summary>
    public TimeSpan DownStabilisation { get; init; } = TimeSpan.FromSeconds(15);
}
