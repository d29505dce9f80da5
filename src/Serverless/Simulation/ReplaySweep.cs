namespace Serverless.Simulation;

/// <summary>A policy under all settings that its sweep knows.</summary>
public static class ReplaySweep
{
    /// <summary>The cheapest of a policy's settings that serves 95 % of first tokens in time; if none does, the one that serves most.</summary>
    public static ReplayResult Cheapest(Trace trace, string policy, ReplayOptions options) =>
        Cheapest(ReplayPolicies.Sweep(policy), setting => Replay.Run(trace, ReplayPolicies.Create(policy, setting, options), options), ReplayStudy.Attainment).Result;

    /// <summary>The cheapest of <paramref name="settings"/> that attains, or the one that attains most.</summary>
    internal static (T Setting, ReplayResult Result) Cheapest<T>(IReadOnlyList<T> settings, Func<T, ReplayResult> run, double attainment)
    {
        var all = settings.AsParallel().AsOrdered().Select(setting => (Setting: setting, Result: run(setting))).ToArray();
        var enough = Math.Min(attainment, all.Max(entry => entry.Result.Attainment));
        return all.Where(entry => entry.Result.Attainment >= enough).MinBy(entry => entry.Result.GpuHours);
    }
}
