using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Loops;

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
/// Without work it sleeps: no timer, no consumer, no watch of the log; the queue's arrivals and its workers wake it (ADR 15).
/// </remarks>
internal sealed class Dispatcher(ModelName model, long epoch, DispatchPorts ports)
{
    private const int InboxCapacity = 4096;

    private static readonly TimeSpan SourcePause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestSourcePause = TimeSpan.FromSeconds(10);

    private readonly Channel<DispatchInput> _inbox = Channel.CreateBounded<DispatchInput>(new BoundedChannelOptions(InboxCapacity) { SingleReader = true });
    private CancellationTokenSource? _consuming;
    private Task _consumption = Task.CompletedTask;
    private TimeSpan _rhythm = Timeout.InfiniteTimeSpan;
    private int _ticks;
    private volatile bool _awake = true;
    private volatile bool _holdsWork;

    /// <summary>Whether it looks for work, or sleeps until there is some.</summary>
    public bool IsAwake => _awake;

    /// <summary>Whether it has requests, or had some of late.</summary>
    public bool HoldsWork => _holdsWork || _inbox.Reader.Count > 0;

    /// <summary>Says that the queue may hold something.</summary>
    public void Wake() => _inbox.Writer.TryWrite(new DispatchInput.Arrived()); // one whose inbox is full is awake

    /// <summary>Says that the catalogue has the model no longer, or again: without it nothing more is begun, what waits is told so, and the dispatcher ends with what runs. False: its inbox is full, say it again.</summary>
    public bool Retire(bool isRetired) => _inbox.Writer.TryWrite(new DispatchInput.Retired(isRetired));

    /// <summary>Runs until stopped, or retired and done: then it takes nothing more before it does anything else. What it has not answered goes back into the queue when it stops consuming.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        var work = new DispatchLoop(model, epoch, ports, _inbox.Writer, stop.Token);
        await using var ticker = ports.Time.CreateTimer(_ => Tick(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        var sessions = KeepUpAsync("sessions", PumpSessionsAsync, stop.Token);
        try
        {
            Wake(); // what came before its lease was named to another gateway
            while (await _inbox.Reader.WaitToReadAsync(stop.Token))
            {
                _holdsWork = true; // until it is known better: what is taken out of the inbox is not in it any more, and whoever asks meanwhile must not take the model for idle
                for (var budget = InboxCapacity; budget > 0 && _inbox.Reader.TryRead(out var input); budget--)
                {
                    if (input is DispatchInput.Tick) Volatile.Write(ref _ticks, 0);
                    work.Handle(input);
                }

                work.Advance();
                if (work.IsDone) return;
                Follow(work, ticker, stop.Token);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await work.CloseAsync();
            await Task.WhenAll(sessions, _consumption);
        }
    }

    /// <summary>Ticks and consumes as the work asks for.</summary>
    private void Follow(DispatchLoop work, ITimer ticker, CancellationToken stoppingToken)
    {
        if (work.Rhythm != _rhythm) ticker.Change(_rhythm = work.Rhythm, _rhythm);
        (_awake, _holdsWork) = (work.IsAwake, work.HoldsWork);
        if (work.WantsDeliveries == _consuming is not null) return;

        if (_consuming is { } consuming)
        {
            consuming.Cancel();
            _consuming = null;
            return;
        }

        _consuming = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        _consumption = ConsumeAsync(_consumption, _consuming);
    }

    /// <summary>One consumer at a time: what it had goes back before the next one begins.</summary>
    private async Task ConsumeAsync(Task before, CancellationTokenSource stop)
    {
        await before;
        var token = stop.Token;
        await Task.WhenAll(KeepUpAsync("deliveries", PumpDeliveriesAsync, token), KeepUpAsync("ends", PumpEndsAsync, token));
        stop.Dispose();
    }

    private void Tick()
    {
        // One at a time: a loop that is busy is not told twice.
        if (Interlocked.Exchange(ref _ticks, 1) == 0 && !_inbox.Writer.TryWrite(new DispatchInput.Tick())) Volatile.Write(ref _ticks, 0);
    }

    private async Task PumpDeliveriesAsync(CancellationToken cancellationToken)
    {
        await foreach (var delivery in ports.Queue.ConsumeAsync(model, cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Delivered(delivery), cancellationToken);
    }

    private async Task PumpEndsAsync(CancellationToken cancellationToken)
    {
        await foreach (var id in ports.Log.WatchEndsAsync(model, cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Ended(id), cancellationToken);
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
            try
            {
                await foreach (var message in replica.Session.ReadAsync(cancellationToken)) await _inbox.Writer.WriteAsync(new DispatchInput.Said(replica, message), cancellationToken);
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                ports.Observer.SourceFailed(model, "session", exception);
                replica.Session.Close();
            }

            await _inbox.Writer.WriteAsync(new DispatchInput.Closed(replica), cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            replica.Session.Close(); // it may have come after the loop closed the others
        }
    }

    /// <summary>A source of inputs that ends or fails, whatever its error, is opened again after a pause: what it had and was not answered comes again.</summary>
    private async Task KeepUpAsync(string source, Func<CancellationToken, Task> pump, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(SourcePause, LongestSourcePause);
        while (!cancellationToken.IsCancellationRequested)
        {
            var begun = ports.Time.GetTimestamp();
            try
            {
                await pump(cancellationToken);
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                if (exception is not ServingException away || !StoreGate.IsAway(away)) ports.Observer.SourceFailed(model, source, exception);
            }
            catch (Exception)
            {
                return; // it was stopped
            }

            if (ports.Time.GetElapsedTime(begun) > LongestSourcePause) backoff.Reset();
            await Task.Delay(backoff.Next(), ports.Time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
