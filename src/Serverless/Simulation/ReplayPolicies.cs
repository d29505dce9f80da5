namespace Serverless.Simulation;

/// <summary>The policies a trace can be replayed under, by name, each with the settings a sweep tries.</summary>
public static class ReplayPolicies
{
    /// <summary>Ours, through KEDA.</summary>
    public const string Planner = "planner";

    private static readonly Dictionary<string, (double Default, double[] Sweep, Func<double, ReplayOptions, IReplayPolicy> Make)> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        ["queue-length"] = (5, Grid(0.05, 50, 25), (setting, options) => new QueueLengthPolicy(setting, options.MaxReplicas)),
        ["mean-concurrency"] = (100, Grid(1, 100, 25), (setting, options) => new MeanConcurrencyPolicy(setting, options.MaxReplicas)),
        ["prefill-backlog"] = (1.5, Grid(0.02, 20, 25), (setting, options) => new PrefillBacklogPolicy(setting, options.Profile.PrefillTokensPerSecond, options.MaxReplicas)),
        ["running-requests"] = (16, Grid(1, 100, 25), (setting, options) => new RunningRequestsPolicy(setting, options.MaxReplicas)),
        ["static"] = (4, [.. Enumerable.Range(1, 24).Select(replicas => (double)replicas)], (setting, _) => new StaticPolicy((int)setting)),
        [Planner] = (0, [0], (_, options) => new PlannerPolicy(options.Planner, options.MaxReplicas)),
        ["planner-embedded"] = (0, [0], (_, options) => new PlannerPolicy(options.Planner, options.MaxReplicas, embedded: true)),
    };

    /// <summary>All names: four that others use, the constant, and ours carried out by KEDA or at once.</summary>
    public static IReadOnlyCollection<string> Names => Known.Keys;

    /// <summary>The four that others use.</summary>
    public static IReadOnlyList<string> Baselines { get; } = ["queue-length", "mean-concurrency", "prefill-backlog", "running-requests"];

    /// <summary>The setting its makers ship; 0 for ours, which has none.</summary>
    public static double Default(string name) => Of(name).Default;

    /// <summary>Settings from lavish to thrifty, or the other way round, that a sweep tries.</summary>
    public static IReadOnlyList<double> Sweep(string name) => Of(name).Sweep;

    /// <summary>A fresh policy.</summary>
    /// <exception cref="ArgumentException">There is none of that name; the message lists those there are.</exception>
    public static IReplayPolicy Create(string name, double setting, ReplayOptions options) => Of(name).Make(setting, options);

    private static (double Default, double[] Sweep, Func<double, ReplayOptions, IReplayPolicy> Make) Of(string name) => Known.TryGetValue(name, out var known)
        ? known
        : throw new ArgumentException($"There is no policy '{name}'; there are: {string.Join(", ", Known.Keys)}.", nameof(name));

    private static double[] Grid(double from, double to, int points) =>
        [.. Enumerable.Range(0, points).Select(point => Math.Round(from * Math.Pow(to / from, point / (points - 1.0)), 3))];
}
