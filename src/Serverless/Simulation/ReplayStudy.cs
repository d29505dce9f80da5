using Serverless.Scaling.Planning;

namespace Serverless.Simulation;

/// <summary>
/// One trace under ours and the four known policies, at equal attainment. The whole trace runs from no replica, cold starts and all; requests and replica time are counted from its middle on. Ours has one
/// setting, chosen on the first half; each of the others has, with hindsight, its cheapest setting that attains on the second half, and beside it the one that the first half would have chosen.
/// </summary>
public sealed class ReplayStudy(Trace trace, ReplayOptions options)
{
    /// <summary>Share of requests that must attain.</summary>
    public const double Attainment = 0.95;

    // What is tuned on one half must hold on the other, so a little more is asked for.
    private const double TunedAttainment = 0.97;
    private const double WarmUp = 600;

    private readonly Trace _first = trace.Slice(0, trace.Seconds / 2);
    private readonly ReplayOptions _tune = options with { CountFrom = Math.Min(WarmUp, trace.Seconds / 4) };
    private readonly ReplayOptions _report = options with { CountFrom = trace.Seconds / 2 };

    /// <summary>The settings of ours that tuning tries.</summary>
    public static IReadOnlyList<PlannerOptions> PlannerSettings { get; } =
    [
        .. from utilisation in new[] { 0.6, 0.7, 0.8, 0.9, 1.0 }
           from window in new[] { 15, 60 }
           from warm in new[] { 0, 0.5, 0.8, 0.9, 0.95 }
           select new PlannerOptions { TargetUtilisation = utilisation, Window = TimeSpan.FromSeconds(window), WarmShare = warm },
    ];

    /// <summary>
    /// Replica-hours in which engines at their largest batch, never idle and with nothing to load, would do the counted work: no policy can do with less, and one that knew the future
    /// would still need whole replicas.
    /// </summary>
    public double FloorHours
    {
        get
        {
            var counted = trace.Requests.Where(request => request.At >= _report.CountFrom).ToArray();
            var tokens = Math.Max(1, counted.Average(request => request.PromptTokens + (request.OutputTokens / 2.0)));
            var batch = Math.Clamp(options.Profile.KvTokens / tokens, 1, options.Profile.Slots);
            var perToken = options.Profile.DecodeStepSeconds((int)batch, batch * tokens) / batch;
            return counted.Sum(request => options.Profile.PrefillSeconds(request.PromptTokens) + (request.OutputTokens * perToken)) / 3600;
        }
    }

    /// <summary>Ours: the cheapest setting that attains on the first half, the shipped one where none does (a first half that holds nothing to learn its bursts from), and what it shows on the second.</summary>
    public (PlannerOptions Setting, ReplayResult Result) Ours()
    {
        var (setting, tuned) = ReplaySweep.Cheapest(PlannerSettings, planner => Run(_first, _tune with { Planner = planner }, ReplayPolicies.Planner, 0), TunedAttainment);
        if (tuned.Attainment < TunedAttainment) setting = new PlannerOptions();
        return (setting, Planner(setting));
    }

    /// <summary>Ours with a given setting on the second half.</summary>
    public ReplayResult Planner(PlannerOptions setting) => Run(trace, _report with { Planner = setting }, ReplayPolicies.Planner, 0);

    /// <summary>Another policy with hindsight: its cheapest setting that attains on the second half, else the one that attains most.</summary>
    public ReplayResult Hindsight(string policy) => ReplaySweep.Cheapest(trace, policy, _report);

    /// <summary>Another policy tuned as ours is.</summary>
    public ReplayResult Tuned(string policy)
    {
        var (setting, _) = ReplaySweep.Cheapest(ReplayPolicies.Sweep(policy), setting => Run(_first, _tune, policy, setting), TunedAttainment);
        return Run(trace, _report, policy, setting);
    }

    private static ReplayResult Run(Trace trace, ReplayOptions options, string policy, double setting) => Replay.Run(trace, ReplayPolicies.Create(policy, setting, options), options);
}
