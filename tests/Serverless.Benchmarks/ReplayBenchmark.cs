using System.Globalization;
using Serverless.Scaling.Planning;
using Serverless.Simulation;

namespace Serverless.Benchmarks;

/// <summary>GPU-hours at equal attainment on public traces: ours against four known policies. Prints the table of docs/scaling.md, and its plot where SVG names a file.</summary>
internal static class ReplayBenchmark
{
    private static readonly (string File, string Name, EngineProfile Profile)[] Traces =
    [
        ("AzureLLMInferenceTrace_conv.csv", "Azure 2023 conversation", EngineProfiles.A10),
        ("AzureLLMInferenceTrace_code.csv", "Azure 2023 code", EngineProfiles.A10),
        ("mooncake_conversation_trace.jsonl", "Mooncake conversation", EngineProfiles.A100),
    ];

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        var folder = Environment.GetEnvironmentVariable("TRACES") ?? Path.Combine(Rig.Root, "..", "shared", "data", "traces");
        Console.WriteLine("| trace, class | policy | setting | chosen | GPU-hours | in time | TTFT p50 | p99 | scale events |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        List<ReplayResult> plotted = [];
        List<string> ratios = [];
        foreach (var (file, name, profile) in Traces)
        {
            if (!File.Exists(Path.Combine(folder, file)))
            {
                Console.WriteLine($"| {name} | no trace at {Path.Combine(folder, file)}: set TRACES | | | | | | | |");
                continue;
            }

            using var reader = File.OpenText(Path.Combine(folder, file));
            var (ours, ratio) = Study(name, profile, Trace.Read(name, reader));
            plotted.Add(ours);
            ratios.Add(ratio);
        }

        Console.WriteLine();
        foreach (var ratio in ratios) Console.WriteLine(ratio);
        if (Environment.GetEnvironmentVariable("SVG") is { } plot) await File.WriteAllTextAsync(plot, ReplayPlot.Draw(plotted), cancellationToken);
    }

    private static (ReplayResult Ours, string Ratio) Study(string name, EngineProfile profile, Trace trace)
    {
        var study = new ReplayStudy(trace, new ReplayOptions { Profile = profile });
        var title = $"{name}, {profile.Name}";
        var (setting, ours) = study.Ours();
        Row(title, "**planner**", Text($"ρ* {setting.TargetUtilisation}, W {setting.Window.TotalSeconds:F0} s, q {setting.WarmShare}"), "first half", ours);
        Row(title, "planner", "as shipped", "fixed", study.Planner(new PlannerOptions()));
        var (best, tunedBest) = (double.PositiveInfinity, double.PositiveInfinity);
        foreach (var policy in ReplayPolicies.Baselines)
        {
            var (hindsight, tuned) = (study.Hindsight(policy), study.Tuned(policy));
            if (hindsight.Attainment >= ReplayStudy.Attainment) best = Math.Min(best, hindsight.GpuHours);
            if (tuned.Attainment >= ReplayStudy.Attainment) tunedBest = Math.Min(tunedBest, tuned.GpuHours);
            Row(title, policy, hindsight.Policy[(policy.Length + 1)..], "hindsight", hindsight);
            Row(title, policy, tuned.Policy[(policy.Length + 1)..], "first half", tuned);
        }

        var constant = study.Hindsight("static");
        Row(title, "static", constant.Policy["static ".Length..], "hindsight", constant);
        return (ours, Text($"- {name}: {ours.GpuHours / best:F2} of the best of the four with hindsight, {ours.GpuHours / tunedBest:F2} of the best of them tuned as ours is; {study.FloorHours:F2} GPU-hours of work at full use are {study.FloorHours / best:F2} of that best."));
    }

    private static void Row(string trace, string policy, string setting, string chosen, ReplayResult result) => Console.WriteLine(Text(
        $"| {trace} | {policy} | {setting} | {chosen} | {result.GpuHours:F2} | {result.Attainment:P1}{(result.Attainment < ReplayStudy.Attainment ? " ✗" : "")} | {result.FirstTokenP50:F2} s | {result.FirstTokenP99:F1} s | {result.ScaleEvents} |"));

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
