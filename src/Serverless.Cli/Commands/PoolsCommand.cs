using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Client;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless pools</c>: what the pools of a running gateway do, and why.</summary>
internal static class PoolsCommand
{
    private const int State = 1;
    private const int Reason = 6;
    private const string Gap = "  ";

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
        Show(console, await client.PoolsAsync(cancellationToken));
        return 0;
    }

    /// <summary>A line each, within the console's width: what is too long of a reason, <c>serverless explain</c> tells in full.</summary>
    internal static void Show(IAnsiConsole console, IReadOnlyList<PoolRow> pools)
    {
        string[][] lines = [["pool", "state", "ready", "pending", "running", "KV", "last decision"], .. pools.Select(Cells)];
        int[] widths = [.. Enumerable.Range(0, Reason).Select(column => lines.Max(line => line[column].Length))];
        var left = console.Profile.Width - widths.Sum(width => width + Gap.Length);
        for (var line = 0; line < lines.Length; line++)
        {
            var reason = lines[line][Reason];
            if (reason.Length > left) reason = left > 1 ? $"{reason[..(left - 1)]}…" : "";
            var cells = widths.Select((width, column) => column is > State and < Reason ? lines[line][column].PadLeft(width) : lines[line][column].PadRight(width));
            console.WriteLine(string.Join(Gap, [.. cells, reason]).TrimEnd(), line == 0 ? new Style(Color.Grey) : Style.Plain);
        }
    }

    private static string[] Cells(PoolRow pool) =>
    [
        pool.Name,
        pool.State,
        string.Create(CultureInfo.InvariantCulture, $"{pool.Ready}/{pool.Desired}"),
        pool.PendingTokens.ToString("N0", CultureInfo.InvariantCulture),
        pool.RunningTokens.ToString("N0", CultureInfo.InvariantCulture),
        pool.KvUsed.ToString("P0", CultureInfo.InvariantCulture),
        pool.LastReason ?? "none yet",
    ];
}
