using System.Globalization;
using Serverless.Cli.Client;

namespace Serverless.Cli.Commands;

/// <summary>Pools as lines within a width: what is too long of a reason, <c>serverless explain</c> tells in full.</summary>
internal static class PoolsTable
{
    private static readonly string[] Head = ["pool", "state", "ready", "pending", "running", "KV", "last decision"];

    /// <summary>The head, and a line each.</summary>
    public static IReadOnlyList<string> Lines(IReadOnlyList<PoolRow> pools, int width) => Columns.Lines(Head, pools.Select(Cells), 2..6, width);

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
