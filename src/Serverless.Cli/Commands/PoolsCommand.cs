using System.CommandLine;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless pools</c>: what the pools of a running gateway do, and why.</summary>
internal static class PoolsCommand
{
    public static Command Create(Terminal terminal)
    {
        var watch = new Option<bool>("--watch", "-w") { Description = "Go on showing them: drawn over on a terminal, a line per change anywhere else." };
        var interval = new Option<TimeSpan>("--interval") { Description = "How often --watch looks.", HelpName = "TIME", DefaultValueFactory = _ => TimeSpan.FromSeconds(1), CustomParser = DurationText.Parse };
        var output = OutputOption.Create();
        var command = new ToolCommand(
            "pools",
            "Show the pools of a running gateway: state, replicas, pending tokens, the last decision.",
            "serverless pools",
            "serverless pools --watch",
            "serverless pools --output json | jq '.pools[] | select(.ready > 0)'") { watch, interval, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            if (parsed.GetValue(watch)) return await new PoolsWatch(terminal, client, parsed.IsJson(output)).RunAsync(parsed.GetValue(interval), cancellationToken);

            var pools = await client.PoolsAsync(cancellationToken);
            if (parsed.IsJson(output)) JsonText.Write(terminal, new { pools = pools.Select(pool => pool.Json) });
            else terminal.WriteTable(PoolsTable.Lines(pools, terminal.Output.Profile.Width));
            return ExitCode.Done;
        });
        return command;
    }
}
