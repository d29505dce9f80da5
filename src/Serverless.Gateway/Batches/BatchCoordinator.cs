using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Leases;
using Serverless.Loops;

namespace Serverless.Gateway.Batches;

/// <summary>
/// Runs batches: looks for those that are not at their end, takes the lease of each that nobody runs, and lets it go when that is lost. A batch whose gateway is gone is another's within the lease's
/// time. While no batch is open it asks for names of open ones and for nothing else. Thread-safe.
/// </summary>
internal sealed partial class BatchCoordinator(BatchParts parts, BatchNotices notices, ILeases leases, GatewayIdentity identity, Supervisor supervisor, ILogger<BatchCoordinator> logger) : BackgroundService
{
    /// <summary>How often it asks for open ones that another gateway was given.</summary>
    public static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(10);

    /// <summary>Documents read at a time.</summary>
    private const int AtOnce = 16;

    private readonly ConcurrentDictionary<string, RunningBatch> _running = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OpenBatch> _open = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unreadable = new(StringComparer.Ordinal);
    private readonly Channel<bool> _due = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private Dictionary<string, int> _openOf = new(StringComparer.Ordinal);
    private int _looks;

    /// <summary>Whether an organization may have another one.</summary>
    /// <exception cref="ServingException">It may not now.</exception>
    public void RequirePlace(string organization)
    {
        var most = parts.Options.Value.MaxOpen;
        if (Volatile.Read(ref _openOf).GetValueOrDefault(organization) is var open && open < most) return;

        throw new ServingException(new ServingFault(
            ServingError.QueueFull,
            $"Organization '{organization}' has {open} batches that are not at their end; the limit is {most} ({BatchOptions.Section}:{nameof(BatchOptions.MaxOpen)}). Wait for one to end, or cancel one.",
            Code: "too_many_open_batches"));
    }

    /// <summary>There is something new: it looks at once. Never waits.</summary>
    public void Look()
    {
        Volatile.Write(ref _looks, 1);
        Wake();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await supervisor.RunAsync("batches", CoordinateAsync, stoppingToken);
        await Task.WhenAll(_running.Values.Select(running => GiveBackAsync(running).AsTask()));
    }

    private void Wake() => _due.Writer.TryWrite(true);

    private async Task CoordinateAsync(CancellationToken stoppingToken)
    {
        var time = parts.Time.Aligned();
        await using var look = time.CreateTimer(_ => Look(), null, LookInterval, LookInterval);
        await using var renewal = time.CreateTimer(_ => Wake(), null, LeaseTimes.Renewal, LeaseTimes.Renewal);
        Look();
        await foreach (var _ in _due.Reader.ReadAllAsync(stoppingToken))
        {
            try
            {
                foreach (var ended in _running.Values.Where(running => running.Task.IsCompleted)) await GiveBackAsync(ended);
                await RenewAsync(stoppingToken);
                if (Interlocked.Exchange(ref _looks, 0) != 0) await ReadOpenAsync(stoppingToken);
                await TakeAsync(stoppingToken);
            }
            catch (ServingException)
            {
                // A store is away, which is told elsewhere: it is asked again at the next turn, and leases run out by themselves.
            }
        }
    }

    /// <summary>Until the store has the lease back the batch stays among those that run: taken again before, it would run under the same epoch.</summary>
    private async ValueTask GiveBackAsync(RunningBatch running)
    {
        await running.StopAsync();
        try
        {
            await leases.ReleaseAsync(running.Lease, CancellationToken.None);
            _running.TryRemove(KeyValuePair.Create(running.Open.Id, running));
        }
        catch (ServingException)
        {
            // It runs out by itself; it is tried again until then.
        }
    }

    /// <summary>Renews the leases of those that run, and tells them of what has become of their batches.</summary>
    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        var running = _running.Values.Where(one => !one.Task.IsCompleted && !one.IsLeaving).ToArray();
        if (running.Length == 0) return;

        var sent = parts.Time.GetTimestamp();
        var held = (await leases.RenewAsync(Array.ConvertAll(running, one => one.Lease), LeaseTimes.TimeToLive, cancellationToken)).ToHashSet();
        foreach (var one in running)
        {
            if (held.Contains(one.Lease)) one.Extend(LeaseTimes.TimeToLive - parts.Time.GetElapsedTime(sent));
            else one.Leave();
        }

        foreach (var some in running.Chunk(AtOnce)) await Task.WhenAll(some.Select(one => EndIfGivenUpAsync(one, cancellationToken)));
    }

    private Task EndIfGivenUpAsync(RunningBatch running, CancellationToken cancellationToken) => GuardedAsync(running.Open.Id, async () =>
    {
        if (await parts.Directory.FindAsync(running.Open.Scope, running.Open.Id, cancellationToken) is not { Status: not BatchStatus.Cancelling }) running.End();
    });

    /// <summary>What is known of a name does not change, so each is read once.</summary>
    private async Task ReadOpenAsync(CancellationToken cancellationToken)
    {
        var ids = (await parts.Directory.ListOpenAsync(cancellationToken)).ToHashSet(StringComparer.Ordinal);
        foreach (var gone in _open.Keys.Where(id => !ids.Contains(id)).ToArray()) _open.Remove(gone);
        _unreadable.IntersectWith(ids);
        foreach (var some in ids.Where(id => !_open.ContainsKey(id) && !_unreadable.Contains(id)).Chunk(AtOnce))
        {
            var read = new ConcurrentBag<OpenBatch>();
            await Task.WhenAll(some.Select(id => GuardedAsync(id, async () =>
            {
                if (await parts.Directory.FindOpenAsync(id, cancellationToken) is { } open) read.Add(open);
            })));
            foreach (var open in read) _open[open.Id] = open;
        }

        Volatile.Write(ref _openOf, _open.Values.CountBy(open => open.Organization, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal));
    }

    private async Task TakeAsync(CancellationToken cancellationToken)
    {
        var waiting = _open.Values.Where(open => !_running.ContainsKey(open.Id) && !_unreadable.Contains(open.Id)).ToList();
        if (waiting.Count == 0) return;

        var elsewhere = (await leases.ListAsync(LeaseNames.Batches, cancellationToken)).Where(lease => lease.Holder != identity.Instance).Select(lease => lease.Name).ToHashSet(StringComparer.Ordinal);
        waiting.RemoveAll(open => elsewhere.Contains(LeaseNames.Batch(open.Id)));
        var most = parts.Options.Value.MaxRunning;
        while (BatchTurns.Next(waiting, Running(), most, parts.Time.GetUtcNow()) is { } next)
        {
            waiting.Remove(next);
            await GuardedAsync(next.Id, () => TakeAsync(next, cancellationToken));
        }

        if (_running.Values.Any(running => running.IsLeaving) || BatchTurns.MakesRoom(waiting, Running(), most) is not { } less) return;
        LogMakesRoom(less.Id);
        _running[less.Id].Leave();
    }

    private OpenBatch[] Running() => [.. _running.Values.Select(running => running.Open)];

    private async Task TakeAsync(OpenBatch open, CancellationToken cancellationToken)
    {
        var sent = parts.Time.GetTimestamp();
        if (await leases.AcquireAsync(LeaseNames.Batch(open.Id), identity.Instance, LeaseTimes.TimeToLive, cancellationToken) is not { } lease) return;

        Batch? batch = null;
        try
        {
            batch = await parts.Directory.FindAsync(open, cancellationToken);
            if (batch is not null && ApiEndpoint.ByPath(batch.Endpoint) is null)
            {
                LogUnknown(batch.Id, batch.Endpoint);
                batch = null;
                lock (_unreadable) _unreadable.Add(open.Id);
            }
        }
        finally
        {
            if (batch is null) await leases.ReleaseAsync(lease, CancellationToken.None);
        }

        if (batch is null) return;
        var running = new RunningBatch(open, lease, LeaseTimes.TimeToLive - parts.Time.GetElapsedTime(sent), parts.Time);
        _running[open.Id] = running;
        running.Start(token => RunAsync(batch, running, token));
    }

    /// <summary>Whatever is wrong with one batch does not hold up the others. One that cannot be read is told once, and left alone.</summary>
    [SuppressMessage("Design", "CA1031", Justification = "Whatever is wrong with one batch, the others run.")]
    private async Task GuardedAsync(string id, Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (JsonException exception)
        {
            lock (_unreadable)
            {
                if (!_unreadable.Add(id)) return;
            }

            LogUnreadable(exception, id);
        }
        catch (Exception exception) when (exception is not (ServingException or OperationCanceledException))
        {
            LogFailed(exception, id);
        }
    }

    private async Task RunAsync(Batch batch, RunningBatch running, CancellationToken cancellationToken)
    {
        await Task.Yield(); // whoever starts it goes on
        parts.Metrics.Began();
        try
        {
            if (batch.Status == BatchStatus.Cancelling) running.End();
            LogRuns(batch.Id, BatchDirectory.Word(batch.Status), batch.Progress.Completed + batch.Progress.Failed, batch.Progress.Total);
            using var run = new BatchRun(parts, batch, new BatchRunId(running.Lease.Epoch, RandomNumberGenerator.GetHexString(8, lowercase: true)), notices);
            var ended = await run.RunAsync(running.Given, cancellationToken);
            parts.Metrics.Ended(ended.Status);
            LogEnded(ended.Id, BatchDirectory.Word(ended.Status), ended.Progress.Completed, ended.Progress.Failed, ended.Progress.Total);
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
            parts.Metrics.Left();
            _ = running.Task.ContinueWith(_ => Look(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default); // once it is over
        }
    }

    [LoggerMessage(LogLevel.Information, "{Batch} runs here: {Status}, {Done} of {Total} lines are done.")]
    private partial void LogRuns(string batch, string status, int done, int total);

    [LoggerMessage(LogLevel.Information, "{Batch} is at its end: {Status}, {Completed} of {Total} lines were answered, {Failed} failed.")]
    private partial void LogEnded(string batch, string status, int completed, int failed, int total);

    [LoggerMessage(LogLevel.Information, "{Batch} runs here no longer.")]
    private partial void LogLeft(string batch);

    [LoggerMessage(LogLevel.Information, "{Batch} makes room: another organization waits.")]
    private partial void LogMakesRoom(string batch);

    [LoggerMessage(LogLevel.Error, "{Batch} failed here; it is tried again.")]
    private partial void LogFailed(Exception exception, string batch);

    [LoggerMessage(LogLevel.Warning, "{Batch} asks for {Endpoint}, which this release does not know; it is left to gateways that do.")]
    private partial void LogUnknown(string batch, string endpoint);

    [LoggerMessage(LogLevel.Error, "{Batch} cannot be read, and is not run by this gateway.")]
    private partial void LogUnreadable(Exception exception, string batch);
}
