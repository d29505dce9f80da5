using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// One model's dispatcher: takes what the queue delivers and what workers and the log say, one input after another, and hands requests to replicas.
/// </summary>
/// <remarks>
/// <code>
///  queue ── deliveries ──▶ ┐                    ┌─▶ (c) backlog ─▶ (d) plan ─▶ log.Begin ─▶ session.Assign
///  log ──── ends ────────▶ ├─ inbox ─▶ one loop ┤
///  workers ─ messages ───▶ ┘                    └─▶ demand
/// </code>
/// </remarks>
internal sealed class Dispatcher(
    ModelName model, long epoch, IRequestQueue queue, IRequestLog log, IWorkerSessions sessions, IDemandFeed demand, IDispatchObserver observer, TimeProvider time)
{
    private const int InboxCapacity = 4096;

    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(100);

    private readonly Channel<DispatchInput> _inbox = Channel.CreateBounded<DispatchInput>(new BoundedChannelOptions(InboxCapacity) { SingleReader = true });

    /// <summary>Runs until stopped. What it has not answered goes back into the queue when it stops consuming.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var work = new DispatchLoop(model, epoch, log, demand, observer, time, _inbox.Writer);
        Task[] pumps = [GuardedAsync(PumpDeliveriesAsync, stop.Token), GuardedAsync(PumpEndsAsync, stop.Token), GuardedAsync(PumpSessionsAsync, stop.Token), GuardedAsync(PumpTicksAsync, stop.Token)];
        try
        {
            while (await _inbox.Reader.WaitToReadAsync(stop.Token))
            {
                for (var budget = InboxCapacity; budget > 0 && _inbox.Reader.TryRead(out var input); budget--) await work.HandleAsync(input, stop.Token);
                work.Advance(stop.Token);
            }
        }
        finally
        {
            await stop.CancelAsync();
            work.DrainReplicas();
            await Task.WhenAll(pumps);
        }
    }

    private async Task PumpDeliveriesAsync(CancellationToken cancellationToken)
    {
        await foreach (var delivery in queue.ConsumeAsync(model, cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Delivered(delivery), cancellationToken);
    }

    private async Task PumpEndsAsync(CancellationToken cancellationToken)
    {
        await foreach (var id in log.WatchEndsAsync(model, cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Ended(id), cancellationToken);
    }

    private async Task PumpTicksAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TickInterval, time);
        while (await timer.WaitForNextTickAsync(cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Tick(), cancellationToken);
    }

    private async Task PumpSessionsAsync(CancellationToken cancellationToken)
    {
        var open = new List<Task>();
        try
        {
            await foreach (var session in sessions.AcceptAsync(model, epoch, cancellationToken))
            {
                open.RemoveAll(pump => pump.IsCompleted);
                open.Add(PumpSessionAsync(new ReplicaState(session), cancellationToken));
            }
        }
        finally
        {
            await Task.WhenAll(open);
        }
    }

    private async Task PumpSessionAsync(ReplicaState replica, CancellationToken cancellationToken)
    {
        try
        {
            await _inbox.Writer.WriteAsync(new DispatchInput.Opened(replica), cancellationToken);
            await foreach (var message in replica.Session.ReadAsync(cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Said(replica, message), cancellationToken);
            await _inbox.Writer.WriteAsync(new DispatchInput.Closed(replica), cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    private async Task GuardedAsync(Func<CancellationToken, Task> pump, CancellationToken cancellationToken)
    {
        try
        {
            await pump(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
        catch (Exception exception)
        {
            // A source that fails ends the dispatcher, which is then started afresh with a higher epoch.
            await _inbox.Writer.WriteAsync(new DispatchInput.Faulted(exception), CancellationToken.None);
        }
    }
}
