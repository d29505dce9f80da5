using System.Globalization;
using System.Net;
using Serverless.Cli.Client;
using Serverless.Cli.Shell;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless pools --watch</c>. A gateway that goes away after it was there is waited for; one that never was is a fault. It ends when nobody reads what it tells.</summary>
internal sealed class PoolsWatch(Terminal terminal, ServingClient client, bool asJson)
{
    private readonly Dictionary<string, PoolRow> _told = new(StringComparer.Ordinal);
    private IReadOnlyList<PoolRow>? _pools;
    private DateTimeOffset? _lostAt;
    private HttpStatusCode? _answered;
    private int _drawn;

    private bool Draws => terminal.IsDrawnOver && !asJson;

    public async Task<int> RunAsync(TimeSpan interval, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(interval, terminal.Time);
        do
        {
            var wasLost = _lostAt is not null;
            try
            {
                _pools = await client.PoolsAsync(cancellationToken);
                _lostAt = null;
            }
            catch (ServingClientException exception) when (exception.IsUnreachable && _pools is not null)
            {
                (_lostAt, _answered) = (_lostAt ?? terminal.Time.GetUtcNow(), exception.Status);
            }

            if (Draws) Draw();
            else if ((_lostAt is not null) != wasLost) terminal.Fault(wasLost ? $"{Now()} {client.Server} answers again" : $"{Now()} {Loss()}");
            if (!Draws && _lostAt is null) TellChanges();
            terminal.ThrowIfReaderIsGone();
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
        return ExitCode.Done;
    }

    private void Draw()
    {
        var profile = terminal.Output.Profile;
        var most = Math.Max(2, profile.Height - 2);
        var lines = PoolsTable.Lines(_pools!, profile.Width).Select(line => Cut(line, profile.Width - 1)).ToList();
        if (lines.Count > most) lines = [.. lines.Take(most - 1), $"… and {lines.Count - most + 1} more"];

        terminal.WriteWhole(console =>
        {
            if (_drawn > 0) console.Write(new ControlCode(string.Create(CultureInfo.InvariantCulture, $"\e[{_drawn}A\e[J")));
            Terminal.WriteTable(console, lines);
            console.WriteLine(Cut(_lostAt is null ? $"at {Now()}; Ctrl+C ends" : Loss(), profile.Width - 1), new Style(_lostAt is null ? Color.Grey : Color.Yellow));
        });
        _drawn = lines.Count + 1;
    }

    private void TellChanges()
    {
        foreach (var pool in _pools!)
        {
            var before = _told.GetValueOrDefault(pool.Name);
            if (before is not null && (before.State, before.Ready, before.Desired) == (pool.State, pool.Ready, pool.Desired)) continue;

            _told[pool.Name] = pool;
            if (asJson) JsonText.WriteLine(terminal, pool.Json);
            else terminal.Write($"{Now()} {pool.Name} {(before is null ? "" : $"{State(before)} → ")}{State(pool)}{(pool.LastReason is { } reason ? $": {reason}" : "")}");
        }

        foreach (var gone in _told.Keys.Except(_pools.Select(pool => pool.Name)).ToArray())
        {
            _told.Remove(gone);
            if (asJson) JsonText.WriteLine(terminal, new { name = gone, state = "gone" });
            else terminal.Write($"{Now()} {gone} is gone");
        }
    }

    private string Loss() => $"{(_answered is { } status ? $"{(int)status}" : "no answer")} from {client.Server} since {terminal.Local(_lostAt!.Value)}; trying again";

    private string Now() => terminal.Local(terminal.Time.GetUtcNow());

    private static string State(PoolRow pool) => string.Create(CultureInfo.InvariantCulture, $"{pool.State} {pool.Ready}/{pool.Desired}");

    private static string Cut(string line, int width) => line.Length <= width ? line : line[..Math.Max(0, width)];
}
