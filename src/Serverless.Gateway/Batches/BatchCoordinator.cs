using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;

namespace Serverless.Gateway.Batches;

/// <summary>
/// Runs batches: looks for those that are not at their end, takes the lease of each that nobody runs, and lets it go when that is lost. A batch whose gateway is gone is another's within the lease's
/// time. Thread-safe.
/// </summary>
internal sealed partial class BatchCoordinator(BatchParts parts, ILeases leases, GatewayIdentity identity, Supervisor supervisor, ILogger<BatchCoordinator> logger) : BackgroundService
{
    private const int MostOpen = 10_000;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, Running> _running = new(StringComparer.Ordinal);
    private readonly Channel<bool> _due = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>There is something new: it looks at once. Never waits.</summary>
    public void Look() => _due.Writer.TryWrite(true);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await supervisor.RunAsync("batches", CoordinateAsync, stoppingToken);
        foreach (var running in _running.Values) await running.StopAsync();
    }

    private async Task CoordinateAsync(CancellationToken stoppingToken)
    {
        await using var timer = parts.Time.Aligned().CreateTimer(_ => Look(), null, Interval, Interval);
        Look();
        await foreach (var _ in _due.Reader.ReadAllAsync(stoppingToken))
        {
            try
            {
                await RenewAsync(stoppingToken);
                await TakeAsync(stoppingToken);
            }
            catch (ServingException)
            {
                // A store is away, which is told elsewhere: it is asked again at the next turn, and leases run out by themselves.
            }
        }
    }

    /// <summary>Renews the leases of those that run, and tells them of what has become of their batches.</summary>
    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        foreach (var (id, running) in _running)
        {
            if (running.Task.IsCompleted)
            {
                _running.TryRemove(KeyValuePair.Create(id, running));
                await running.StopAsync();
                await leases.ReleaseAsync(running.Lease, cancellationToken);
                continue;
            }

            var sent = parts.Time.GetTimestamp();
            if (!await leases.RenewAsync(running.Lease, LeaseTimes.TimeToLive, cancellationToken))
            {
                running.Lose();
                continue;
            }

            running.Extend(LeaseTimes.TimeToLive - parts.Time.GetElapsedTime(sent));
            if (await parts.Directory.FindAsync(running.Batch.Owner.Scope, id, cancellationToken) is not { Status: not BatchStatus.Cancelling } now || parts.Time.GetUtcNow() >= now.ExpiresAt) running.End();
        }
    }

    private async Task TakeAsync(CancellationToken cancellationToken)
    {
        if (_running.Count >= parts.Options.Value.MaxRunning) return;

        // The soonest to expire first: earliest deadline first.
        foreach (var batch in (await parts.Directory.ListOpenAsync(MostOpen, id => !_running.ContainsKey(id), cancellationToken)).OrderBy(batch => batch.ExpiresAt))
        {
            if (_running.Count >= parts.Options.Value.MaxRunning) return;

            var sent = parts.Time.GetTimestamp();
            if (await leases.AcquireAsync(LeaseNames.Batch(batch.Id), identity.Instance, LeaseTimes.TimeToLive, cancellationToken) is not { } lease) continue;

            var running = new Running(batch, lease, LeaseTimes.TimeToLive - parts.Time.GetElapsedTime(sent), parts.Time);
            _running[batch.Id] = running;
            running.Start(token => RunAsync(batch, lease, running, token));
        }
    }

    private async Task RunAsync(Batch batch, Lease lease, Running running, CancellationToken cancellationToken)
    {
        await Task.Yield(); // whoever starts it goes on
        try
        {
            if (batch.Status == BatchStatus.Cancelling || parts.Time.GetUtcNow() >= batch.ExpiresAt) running.End();
            LogRuns(batch.Id, BatchDirectory.Word(batch.Status), batch.Progress.Completed + batch.Progress.Failed, batch.Progress.Total);
            using var run = new BatchRun(parts, batch, lease.Epoch);
            await run.RunAsync(running.Given, cancellationToken);
            LogEnded(batch.Id);
        }
        catch (Exception exception) when (exception is BatchTakenException || cancellationToken.IsCancellationRequested)
        {
            LogLeft(batch.Id);
        }
        catch (Exception exception)
        {
            LogFailed(exception, batch.Id);
            await Task.Delay(LeaseTimes.TimeToLive, parts.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // then it is tried again, here or elsewhere
        }
        finally
        {
            Look();
        }
    }

    [LoggerMessage(LogLevel.Information, "{Batch} runs here: {Status}, {Done} of {Total} lines are done.")]
    private partial void LogRuns(string batch, string status, int done, int total);

    [LoggerMessage(LogLevel.Information, "{Batch} is at its end.")]
    private partial void LogEnded(string batch);

    [LoggerMessage(LogLevel.Information, "{Batch} runs here no longer.")]
    private partial void LogLeft(string batch);

    [LoggerMessage(LogLevel.Error, "{Batch} failed here; it is tried again.")]
    private partial void LogFailed(Exception exception, string batch);

    /// <summary>One that runs here, with its lease.</summary>
    private sealed class Running : IDisposable
    {
        private readonly CancellationTokenSource _given = new();
        private readonly CancellationTokenSource _lost;

        public Running(Batch batch, Lease lease, TimeSpan left, TimeProvider time)
        {
            (Batch, Lease) = (batch, lease);
            _lost = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
        }

        public Batch Batch { get; }

        public Lease Lease { get; }

        public Task Task { get; private set; } = Task.CompletedTask;

        /// <summary>It is to be brought to its end.</summary>
        public CancellationToken Given => _given.Token;

        public void Start(Func<CancellationToken, Task> run) => Task = run(_lost.Token);

        public void Extend(TimeSpan left) => _lost.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);

        public void Lose() => _lost.Cancel();

        public void End() => _given.Cancel();

        public async Task StopAsync()
        {
            await _lost.CancelAsync();
            await Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Dispose();
        }

        public void Dispose()
        {
            _given.Dispose();
            _lost.Dispose();
        }
    }
}
