namespace Serverless.Scaler.Embedded;

/// <summary>How the embedded shape plays KEDA and the HPA.</summary>
public sealed class LocalScalerOptions
{
    /// <summary>How long a pool stays up after it was last active, where its manifest does not say. Raising it saves cold starts and costs memory. Default: 5 minutes.</summary>
    public TimeSpan Cooldown { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How often the metric is read, as the HPA's sync and KEDA's polling do. Default: 1 s.</summary>
    public TimeSpan SyncPeriod { get; set; } = TimeSpan.FromSeconds(1);
}
