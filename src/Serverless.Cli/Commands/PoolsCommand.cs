using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Client;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless pools</c>: what the pools of a running gateway do, and why.</summary>
internal static class PoolsCommand
{
    public static Command Create(IAnsiConsole console)
    {
        var url = ServerOption.Create();
        var key = ApiKeyOption.Create();
        var command = new Command("pools", "Show the pools of a running gateway: state, replicas, pending tokens, the last decision.") { url, key };
        command.SetAction((parsed, cancellationToken) => ShowAsync(console, parsed.GetValue(url)!, parsed.GetValue(key), cancellationToken));
        return command;
    }

    private static async Task<int> ShowAsync(IAnsiConsole console, Uri server, string? key, CancellationToken cancellationToken)
    {
        using var client = new ServingClient(server, key);
        var table = new Table().Border(TableBorder.Simple).AddColumns("pool", "class", "state", "ready", "pending", "running", "KV", "last decision");
        foreach (var pool in await client.PoolsAsync(cancellationToken))
        {
            table.AddRow(
                Markup.Escape(pool.Name),
                Markup.Escape(pool.Class),
                Markup.Escape(pool.State),
                string.Create(CultureInfo.InvariantCulture, $"{pool.Ready}/{pool.Desired}"),
                pool.PendingTokens.ToString("N0", CultureInfo.InvariantCulture),
                pool.RunningTokens.ToString("N0", CultureInfo.InvariantCulture),
                pool.KvUsed.ToString("P0", CultureInfo.InvariantCulture),
                Markup.Escape(pool.LastReason ?? "none yet"));
        }

        console.Write(table);
        return 0;
    }
}
