using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Client;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless explain POOL</c>: why a pool has the replicas it has.</summary>
internal static class ExplainCommand
{
    public static Command Create(IAnsiConsole console)
    {
        var pool = new Argument<string>("pool") { Description = "The pool, as `serverless pools` names it." };
        var last = new Option<int>("--last") { Description = "How many decisions to show, the newest last.", DefaultValueFactory = _ => 5 };
        var (url, key) = (ServerOption.Create(), ApiKeyOption.Create());
        var command = new Command("explain", "Show why a pool of a running gateway has the replicas it has: its last decisions with their reasons and inputs.") { pool, last, url, key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = new ServingClient(parsed.GetValue(url)!, parsed.GetValue(key));
            Show(console, parsed.GetValue(pool)!, await client.DecisionsAsync(parsed.GetValue(pool)!, cancellationToken), parsed.GetValue(last));
            return 0;
        });
        return command;
    }

    internal static void Show(IAnsiConsole console, string pool, IReadOnlyList<DecisionRow> decisions, int last)
    {
        if (decisions.Count == 0) console.MarkupLineInterpolated($"[bold]{pool}[/]: no decision yet");
        foreach (var decision in decisions.TakeLast(Math.Max(1, last)))
        {
            var active = decision.Active ? "active" : "idle";
            console.MarkupLineInterpolated(CultureInfo.InvariantCulture, $"[bold]{decision.At:HH:mm:ss} {pool} → {decision.Replicas}[/] ({active})");
            foreach (var reason in decision.Reasons) console.MarkupLineInterpolated($"  {reason}");
            if (decision.Inputs.Count > 0) console.MarkupLineInterpolated($"  [dim]{string.Join(", ", decision.Inputs.Select(input => $"{input.Key} {input.Value}"))}[/]");
        }
    }
}
