using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Simulation;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless simulate</c>: a recorded load through the platform's own planner and dispatcher, beside what others do.</summary>
internal static class SimulateCommand
{
    private const string All = "all";
    private const string OwnTrace = "bursts";

    public static Command Create(Terminal terminal)
    {
        var trace = new Option<string?>("--trace") { Description = "A trace: Azure's CSV (TIMESTAMP,ContextTokens,GeneratedTokens) or Mooncake's JSON lines; an hour of waves and bursts that the tool carries if not given.", HelpName = "FILE" };
        var policy = new Option<string>("--policy") { Description = $"One of {string.Join(", ", ReplayPolicies.Names)}, or {All}.", HelpName = "NAME", DefaultValueFactory = _ => All };
        var profile = new Option<string>("--profile") { Description = $"The replicas' class: {string.Join(", ", EngineProfiles.All.Select(known => known.Name))}.", HelpName = "NAME", DefaultValueFactory = _ => EngineProfiles.A10.Name };
        var setting = new Option<double?>("--setting") { Description = "The policy's target, in its own unit; what its makers ship if not given.", HelpName = "X", CustomParser = Numbers.MaybeBetween(0.000001, 1_000_000) };
        var sweep = new Option<bool>("--sweep") { Description = "Try each policy's settings and show the cheapest that serves 95 % of first tokens in time." };
        var coldStart = new Option<double?>("--cold-start") { Description = "Seconds of a cold start; the profile's if not given.", HelpName = "SECONDS", CustomParser = Numbers.MaybeBetween(0.0, 86_400) };
        var max = new Option<int>("--max-replicas") { Description = "Replicas that are never exceeded.", HelpName = "N", DefaultValueFactory = _ => 64, CustomParser = Numbers.Between(1, 10_000) };
        var seed = new Option<int>("--seed") { Description = "Seed of what is drawn (the spread of cold starts).", HelpName = "N", DefaultValueFactory = _ => 1, CustomParser = Numbers.Between(0, int.MaxValue) };
        var csv = new Option<string?>("--csv") { Description = "Write the table to this file.", HelpName = "FILE" };
        var svg = new Option<string?>("--svg") { Description = "Plot load and replicas to this file.", HelpName = "FILE" };
        var output = OutputOption.Create();
        var command = new ToolCommand(
            "simulate",
            "Replay a trace in virtual time: GPU-hours, time to first token and scale events of a scaling policy.",
            "serverless simulate",
            "serverless simulate --policy planner --profile h100 --svg .data/replay.svg",
            "serverless simulate --trace azure-conv.csv --sweep --output json") { trace, policy, profile, setting, sweep, coldStart, max, seed, csv, svg, output };
        policy.AcceptOnlyFromAmong([.. ReplayPolicies.Names, All]);
        profile.AcceptOnlyFromAmong([.. EngineProfiles.All.Select(known => known.Name)]);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var options = new ReplayOptions { Profile = Profile(parsed.GetValue(profile)!, parsed.GetValue(coldStart)), MaxReplicas = parsed.GetValue(max), Seed = parsed.GetValue(seed) };
            var load = Read(parsed.GetValue(trace));
            var results = Run(load, parsed.GetValue(policy)!, parsed.GetValue(setting), parsed.GetValue(sweep), options);
            if (parsed.IsJson(output)) WriteJson(terminal, load, options, results);
            else Show(terminal, load, options, results);
            if (parsed.GetValue(csv) is { } table) await WriteAsync("--csv", table, ReplayCsv.Results(results), cancellationToken);
            if (parsed.GetValue(svg) is { } plot) await WriteAsync("--svg", plot, ReplayPlot.Draw(results), cancellationToken);
            return ExitCode.Done;
        });
        return command;
    }

    private static Trace Read(string? path)
    {
        try
        {
            using var reader = path is null ? new StreamReader(typeof(SimulateCommand).Assembly.GetManifestResourceStream($"{OwnTrace}.csv")!) : new StreamReader(path);
            var trace = Trace.Read(path is null ? OwnTrace : Path.GetFileNameWithoutExtension(path), reader);
            return trace.Requests.Count > 0 ? trace : throw new ToolException($"--trace {path} holds no request; give one with a line per request: TIMESTAMP,ContextTokens,GeneratedTokens.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new ToolException($"--trace {path} cannot be read: {exception.Message}", exception);
        }
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

    private static async Task WriteAsync(string option, string path, string text, CancellationToken cancellationToken)
    {
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            await File.WriteAllTextAsync(path, text, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"{option} {path} cannot be written: {exception.Message} Give another.", exception);
        }
    }

    private static void Show(Terminal terminal, Trace load, ReplayOptions options, IEnumerable<ReplayResult> results)
    {
        terminal.Write(string.Create(CultureInfo.InvariantCulture, $"{load.Name}: {load.Requests.Count:N0} requests in {load.Seconds:N0} s on {options.Profile.Name}"), new Style(decoration: Decoration.Bold));
        terminal.WriteTable(Columns.Lines(
            ["policy", "GPU-hours", "in time", "TTFT p50", "p99", "scale events", "peak"],
            results.Select(result => new[]
            {
                result.Policy,
                result.GpuHours.ToString("F2", CultureInfo.InvariantCulture),
                result.Attainment.ToString("P1", CultureInfo.InvariantCulture),
                string.Create(CultureInfo.InvariantCulture, $"{result.FirstTokenP50:F2} s"),
                string.Create(CultureInfo.InvariantCulture, $"{result.FirstTokenP99:F1} s"),
                result.ScaleEvents.ToString(CultureInfo.InvariantCulture),
                result.PeakReplicas.ToString(CultureInfo.InvariantCulture),
            }),
            1..7,
            width: null));
    }

    private static void WriteJson(Terminal terminal, Trace load, ReplayOptions options, IEnumerable<ReplayResult> results) => JsonText.Write(terminal, new
    {
        trace = load.Name,
        requests = load.Requests.Count,
        seconds = load.Seconds,
        profile = options.Profile.Name,
        results = results.Select(result => new
        {
            result.Policy,
            result.GpuHours,
            result.Attainment,
            FirstTokenP50Seconds = result.FirstTokenP50,
            FirstTokenP99Seconds = result.FirstTokenP99,
            result.ScaleEvents,
            result.PeakReplicas,
        }),
    });
}
