namespace Serverless.Scaling.Planning;

/// <summary>The planner's constants; the symbols are those of <c>docs/scaling.md</c>.</summary>
public sealed record PlannerOptions
{
    /// <summary>ρ*: share of a replica's throughput that steady load may use. Raising it saves replicas and lengthens queues. Default: 0.8.</summary>
    public double TargetUtilisation { get; init; } = 0.8;

    /// <summary>d: how long pending work may take to drain once replicas are up. Raising it saves replicas. Default: 5 s.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>θ: share of a KV cache that is planned for. Default: 0.85.</summary>
    public double KvTarget { get; init; } = 0.85;

    /// <summary>a: no replica is started for less work than this share of its own cold start. Default: 0.5.</summary>
    public double EconomicFactor { get; init; } = 0.5;

    /// <summary>W: replicas go down only to the most that was wanted in this time. Default: 60 s.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>q: share of the arriving work for which the replicas kept warm suffice at once, by the loads of the last while; 0 keeps none. Raising it costs replicas. Default: 0.9.</summary>
    public double WarmShare { get; init; } = 0.9;

    /// <summary>How long loads are remembered for that, as a time constant. Default: 15 min.</summary>
    public TimeSpan WarmMemory { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Replicas are kept warm for so long after the last work, where the model does not say (its cooldown). Default: 5 min.</summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Share by which the load must fall below the mark that asked for a replica before that replica is given up. Default: 0.1.</summary>
    public double DownMargin { get; init; } = 0.1;

    /// <summary>Share by which the load may exceed what the present answer is planned for before a replica is added: rates and loads are measured, and a measure is not exact. Default: 0.03.</summary>
    public double UpMargin { get; init; } = 0.03;

    /// <summary>Demand older than this is not believed: the last plan holds. Default: 5 s.</summary>
    public TimeSpan StaleAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a replica may find no node before its class counts as out of stock. Default: 15 s.</summary>
    public TimeSpan SpillAfter { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a class that ran out of stock is left alone; doubled with each failure in a row, up to <see cref="LongestCoolOff"/>. Default: 30 s.</summary>
    public TimeSpan CoolOff { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Bound of the cool-off. Default: 10 min.</summary>
    public TimeSpan LongestCoolOff { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Fewest and most prefill replicas for each decode replica, where a model has both roles. Default: 0.1 and 10.</summary>
    public (double Least, double Most) PrefillPerDecode { get; init; } = (0.1, 10);

    /// <summary>Most replicas of an accelerator class over all models; what several models want beyond it is shared out by <see cref="WaterFilling"/>. A class that is not named is not bounded. Default: none.</summary>
    public IReadOnlyDictionary<string, int> Budgets { get; init; } = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);

    /// <summary>What is assumed of classes that <see cref="Priors"/> does not name.</summary>
    public ClassPrior Prior { get; init; } = new();

    /// <summary>What is assumed of a class before it was measured, by accelerator class. Default: common GPUs with a model of 7 to 8 B in 16 bits under vLLM.</summary>
    public IReadOnlyDictionary<string, ClassPrior> Priors { get; init; } = KnownPriors;

    /// <summary>What is assumed of that class.</summary>
    internal ClassPrior PriorOf(string acceleratorClass) => Priors.GetValueOrDefault(acceleratorClass, Prior);

    private static Dictionary<string, ClassPrior> KnownPriors { get; } = new(StringComparer.OrdinalIgnoreCase)
    {
        ["a10"] = Gpu(3500, 450, 37_000),
        ["l4"] = Gpu(2600, 230, 37_000),
        ["a100"] = Gpu(10_500, 2000, 419_000),
        ["h100"] = Gpu(27_000, 3500, 419_000),
    };

    private static ClassPrior Gpu(double prefill, double decode, long kvTokens) =>
        new() { PrefillTokensPerSecond = prefill, DecodeTokensPerSecond = decode, Slots = 256, KvTokens = kvTokens, ColdStart = TimeSpan.FromSeconds(60) };
}

/// <summary>What is assumed of an accelerator class before it was measured. Wrong by ten it costs about twenty requests.</summary>
public sealed record ClassPrior
{
    /// <summary>μ_p, prompt tokens per second of one replica. Default: 1,000.</summary>
    public double PrefillTokensPerSecond { get; init; } = 1000;

    /// <summary>μ_d, output tokens per second of one replica over all its slots. Default: 200.</summary>
    public double DecodeTokensPerSecond { get; init; } = 200;

    /// <summary>Requests at once. Default: 16.</summary>
    public int Slots { get; init; } = 16;

    /// <summary>Tokens its KV cache holds. Default: 32,768.</summary>
    public long KvTokens { get; init; } = 32_768;

    /// <summary>L. Default: 3 s.</summary>
    public TimeSpan ColdStart { get; init; } = TimeSpan.FromSeconds(3);
}
