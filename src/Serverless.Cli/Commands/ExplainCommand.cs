using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Client;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless explain MODEL</c>: why its pools have the replicas they have.</summary>
internal static class ExplainCommand
{
    public static Command Create(Terminal terminal)
    {
        var name = new Argument<string?>("name") { Description = "A model, for all its pools, or a pool; all pools if not given.", Arity = ArgumentArity.ZeroOrOne };
        var last = new Option<int>("--last") { Description = "How many decisions to show of a pool, the newest last.", HelpName = "N", DefaultValueFactory = _ => 5, CustomParser = Numbers.Between(1, 1000) };
        var inputs = new Option<bool>("--inputs") { Description = "Show the numbers that each decision was made from." };
        var output = OutputOption.Create();
        var command = new ToolCommand(
            "explain",
            "Show why the pools of a running gateway have the replicas they have: their last decisions, each with its reasons.",
            "serverless explain smollm2-135m-instruct",
            "serverless explain smollm2-135m-instruct-cpu --last 1 --inputs",
            "serverless explain --output json") { name, last, inputs, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var pools = Choose(await client.PoolsAsync(cancellationToken), parsed.GetValue(name));
            var accounts = new List<(string Pool, DecisionRow[] Decisions)>();
            foreach (var pool in pools) accounts.Add((pool.Name, [.. (await client.DecisionsAsync(pool.Name, cancellationToken)).TakeLast(parsed.GetValue(last))]));

            if (parsed.IsJson(output)) JsonText.Write(terminal, new { pools = accounts.Select(account => new { pool = account.Pool, decisions = account.Decisions.Select(decision => decision.Json) }) });
            else foreach (var (pool, decisions) in accounts) Show(terminal, pool, decisions, parsed.GetValue(inputs));
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>The pool of that name, or the pools of the model of that name.</summary>
    private static IReadOnlyList<PoolRow> Choose(IReadOnlyList<PoolRow> pools, string? name)
    {
        if (name is null) return pools;
        if (pools.FirstOrDefault(pool => pool.Name == name) is { } one) return [one];
        if (pools.Where(pool => pool.Model == name).ToArray() is { Length: > 0 } several) return several;

        string[] known = [.. pools.SelectMany(pool => new[] { pool.Model, pool.Name }).Distinct(StringComparer.Ordinal)];
        throw new ToolException($"There is no model or pool '{name}'. {NearName.Hint(name, known)}");
    }

    private static void Show(Terminal terminal, string pool, DecisionRow[] decisions, bool withInputs)
    {
        if (decisions.Length == 0) terminal.Write($"{pool}: no decision yet");
        foreach (var decision in decisions)
        {
            var active = decision.Active ? "active" : "idle";
            terminal.Write(string.Create(CultureInfo.InvariantCulture, $"{terminal.Local(decision.At)} {pool} → {decision.Replicas} ({active})"), new Style(decoration: Decoration.Bold));
            foreach (var reason in decision.Reasons) WriteIndented(terminal, reason, Style.Plain);
            if (withInputs && decision.Inputs.Count > 0) WriteIndented(terminal, string.Join(", ", decision.Inputs.Select(input => $"{input.Key} {input.Value}")), new Style(decoration: Decoration.Dim));
        }
    }

    private static void WriteIndented(Terminal terminal, string text, Style style)
    {
        foreach (var line in Wrapping.Lines(text, terminal.Output.Profile.Width - 2)) terminal.Write($"  {line}", style);
    }
}
