using System.CommandLine;
using System.Globalization;
using Serverless.Simulation;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless simulate</c>: a recorded load through the platform's own planner and dispatcher, beside what others do.</summary>
internal static class SimulateCommand
{
    private const string All = "all";

    public static Command Create(IAnsiConsole console)
    {
        var trace = new Option<FileInfo>("--trace") { Description = "A trace: Azure's CSV (TIMESTAMP,ContextTokens,GeneratedTokens) or Mooncake's JSON lines.", Required = true };
        var policy = new Option<string>("--policy") { Description = $"One of {string.Join(", ", ReplayPolicies.Names)}, or {All}.", DefaultValueFactory = _ => All };
        var profile = new Option<string>("--profile") { Description = $"The replicas' class: {string.Join(", ", EngineProfiles.All.Select(known => known.Name))}.", DefaultValueFactory = _ => EngineProfiles.A10.Name };
        var setting = new Option<double?>("--setting") { Description = "The policy's target, in its own unit; else what its makers ship." };
        var sweep = new Option<bool>("--sweep") { Description = "Try each policy's settings and show the cheapest that serves 95 % of first tokens in time." };
        var coldStart = new Option<double?>("--cold-start") { Description = "Seconds of a cold start; else the profile's." };
        var max = new Option<int>("--max-replicas") { Description = "Replicas that are never exceeded.", DefaultValueFactory = _ => 64 };
        var seed = new Option<int>("--seed") { Description = "Seed of what is drawn (the spread of cold starts).", DefaultValueFactory = _ => 1 };
        var csv = new Option<FileInfo?>("--csv") { Description = "Write the table to this file." };
        var svg = new Option<FileInfo?>("--svg") { Description = "Plot load and replicas to this file." };
        var command = new Command("simulate", "Replay a trace in virtual time: GPU-hours, time to first token and scale events of a scaling policy.") { trace, policy, profile, setting, sweep, coldStart, max, seed, csv, svg };
        policy.AcceptOnlyFromAmong([.. ReplayPolicies.Names, All]);
        profile.AcceptOnlyFromAmong([.. EngineProfiles.All.Select(known => known.Name)]);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var options = new ReplayOptions { Profile = Profile(parsed.GetValue(profile)!, parsed.GetValue(coldStart)), MaxReplicas = parsed.GetValue(max), Seed = parsed.GetValue(seed) };
            var load = Read(parsed.GetValue(trace)!);
            var results = Run(load, parsed.GetValue(policy)!, parsed.GetValue(setting), parsed.GetValue(sweep), options);
            console.MarkupLineInterpolated(CultureInfo.InvariantCulture, $"[bold]{load.Name}[/]: {load.Requests.Count:N0} requests in {load.Seconds:N0} s on {options.Profile.Name}");
            Show(console, results);
            if (parsed.GetValue(csv) is { } table) await File.WriteAllTextAsync(table.FullName, ReplayCsv.Results(results), cancellationToken);
            if (parsed.GetValue(svg) is { } plot) await File.WriteAllTextAsync(plot.FullName, ReplayPlot.Draw(results), cancellationToken);
            return 0;
        });
        return command;
    }

    private static Trace Read(FileInfo file)
    {
        using var reader = file.OpenText();
        return Trace.Read(Path.GetFileNameWithoutExtension(file.Name), reader);
    }

    private static EngineProfile Profile(string name, double? coldStart)
    {
        var profile = EngineProfiles.Find(name)!;
        return coldStart is { } seconds ? profile with { ColdStartSeconds = seconds } : profile;
    }

    private static List<ReplayResult> Run(Trace trace, string policy, double? setting, bool sweep, ReplayOptions options)
    {
        string[] names = string.Equals(policy, All, StringComparison.OrdinalIgnoreCase) ? [.. ReplayPolicies.Baselines, ReplayPolicies.Planner] : [policy];
        return [.. names.Select(name => sweep
            ? ReplaySweep.Cheapest(trace, name, options)
            : Replay.Run(trace, ReplayPolicies.Create(name, setting ?? ReplayPolicies.Default(name), options), options))];
    }

    private static void Show(IAnsiConsole console, IEnumerable<ReplayResult> results)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("policy", "GPU-hours", "in time", "TTFT p50", "p99", "scale events", "peak");
        foreach (var result in results)
        {
            table.AddRow(
                Markup.Escape(result.Policy),
                result.GpuHours.ToString("F2", CultureInfo.InvariantCulture),
                result.Attainment.ToString("P1", CultureInfo.InvariantCulture),
                string.Create(CultureInfo.InvariantCulture, $"{result.FirstTokenP50:F2} s"),
                string.Create(CultureInfo.InvariantCulture, $"{result.FirstTokenP99:F1} s"),
                result.ScaleEvents.ToString(CultureInfo.InvariantCulture),
                result.PeakReplicas.ToString(CultureInfo.InvariantCulture));
        }

        console.Write(table);
    }
}
