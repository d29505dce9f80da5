using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Dispatching;

/// <summary>
/// One model's dispatcher: takes what the queue delivers and what workers and the log say, one input after another, and hands requests to replicas.
/// </summary>
/// <remarks>
/// <code>
///  queue ── deliveries ──▶ ┐                    ┌─▶ (c) backlog ─▶ (d) plan ─▶ log.Begin ─▶ session.Assign
///  log ──── ends ────────▶ ├─ inbox ─▶ one loop ┤
///  workers ─ messages ───▶ │                    └─▶ demand
///  answers to its calls ─▶ ┘
/// </code>
/// </remarks>
internal sealed class Dispatcher(ModelName model, long epoch, DispatchPorts ports)
{
    private const int InboxCapacity = 4096;

    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan SourcePause = TimeSpan.FromSeconds(1);

    private readonly Channel<DispatchInput> _inbox = Channel.CreateBounded<DispatchInput>(new BoundedChannelOptions(InboxCapacity) { SingleReader = true });

    /// <summary>Runs until stopped: then it takes nothing more before it does anything else. What it has not answered goes back into the queue when it stops consuming.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var work = new DispatchLoop(model, epoch, ports, _inbox.Writer, stop.Token);
        Task[] pumps = [GuardedAsync(PumpDeliveriesAsync, stop.Token), GuardedAsync(PumpEndsAsync, stop.Token), GuardedAsync(PumpSessionsAsync, stop.Token), GuardedAsync(PumpTicksAsync, stop.Token)];
        try
        {
            while (await _inbox.Reader.WaitToReadAsync(stop.Token))
            {
                for (var budget = InboxCapacity; budget > 0 && _inbox.Reader.TryRead(out var input); budget--) work.Handle(input);
                work.Advance();
            }
        }
        finally
        {
            await stop.CancelAsync();
            await work.CloseAsync();
            await Task.WhenAll(pumps);
        }
    }

    private async Task PumpDeliveriesAsync(CancellationToken cancellationToken)
    {
        await foreach (var delivery in ports.Queue.ConsumeAsync(model, cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Delivered(delivery), cancellationToken);
    }

    private async Task PumpEndsAsync(CancellationToken cancellationToken)
    {
        await foreach (var id in ports.Log.WatchEndsAsync(model, cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Ended(id), cancellationToken);
    }

    private async Task PumpTicksAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TickInterval, ports.Time);
        while (await timer.WaitForNextTickAsync(cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Tick(), cancellationToken);
    }

    private async Task PumpSessionsAsync(CancellationToken cancellationToken)
    {
        var open = new List<Task>();
        try
        {
            await foreach (var session in ports.Sessions.AcceptAsync(model, epoch, cancellationToken))
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
            replica.Session.Close(); // it may have come after the loop closed the others
        }
    }

    /// <summary>A source whose store is away is asked again; one that fails otherwise ends the dispatcher, which is then started afresh with a higher epoch.</summary>
    private async Task GuardedAsync(Func<CancellationToken, Task> pump, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                try
                {
                    await pump(cancellationToken);
                    return;
                }
                catch (ServingException exception) when (LoopCalls.IsUnavailable(exception))
                {
                    await Task.Delay(SourcePause, ports.Time, cancellationToken);
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    await _inbox.Writer.WriteAsync(new DispatchInput.Faulted(exception), cancellationToken);
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }
}
