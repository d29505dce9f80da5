using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// The requests that connections to this gateway hold. When the last of a request's connections has gone it runs on for its grace, and is then ended, unless another gateway
/// has taken it over. What this one took over from another is never ended here: it goes back to that one, whose client may still be there. Thread-safe.
/// </summary>
internal sealed partial class HeldRequests(IRequestLog log, GatewayIdentity gateway, TimeProvider time, ILogger<HeldRequests> logger) : IHostedService, IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>What cannot be given back for so long at a stop is left: the process ends before.</summary>
    private static readonly TimeSpan LongestStop = TimeSpan.FromMinutes(1);

    private static readonly RequestEvent ClientGone = new RequestEvent.Cancelled("The client went away.");

    private readonly Lock _lock = new();
    private readonly Dictionary<RequestId, Held> _held = [];
    private readonly HashSet<Task> _ending = [];
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>This gateway, as logs name it.</summary>
    public string Holder => gateway.Instance;

    /// <summary>Requests held now, those in their grace among them.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _held.Count;
        }
    }

    /// <summary>A connection has the request; each take is answered by one <see cref="LeaveAsync"/> or <see cref="DropAsync"/>.</summary>
    /// <param name="id">The request.</param>
    /// <param name="from">The gateway that held it for a client of its own, which may still be there: it gets the request back; or null.</param>
    public void Take(RequestId id, string? from = null)
    {
        lock (_lock)
        {
            if (!_held.TryGetValue(id, out var hold)) _held[id] = hold = new Held();
            hold.Connections++;
            if (from is { Length: > 0 } && from != gateway.Instance) hold.From ??= from;
            (var grace, hold.Grace) = (hold.Grace, null);
            _ = grace?.CancelAsync(); // its callbacks run elsewhere, never under this lock; within it, so that nobody disposes of it first
        }
    }

    /// <summary>
    /// Somebody listens here to a request that a connection promised: this gateway holds it from now on, and gives it back when nobody listens here any more to the one that held it
    /// before, whose client may still be there.
    /// </summary>
    public async ValueTask<HoldResult> TakeOverAsync(RequestId id, string from, CancellationToken cancellationToken)
    {
        var result = await log.HoldAsync(id, Promise.Connection, Holder, cancellationToken);
        if (result == HoldResult.Held) Take(id, from);
        return result;
    }

    /// <summary>The caller of the ticket has left. What nobody answers for any more is ended, after its grace if it has one.</summary>
    public async Task LeaveAsync(Ticket ticket)
    {
        if (!ticket.Holds) return;

        ticket.Holds = false;
        switch (ticket)
        {
            case { Ended: true }:
                if (Drop(ticket.Id) is { From: null }) log.Forget(ticket.Id, Holder); // the answer was given; only its holder may let it go
                break;
            case { HandedOn: true }:
                if (Drop(ticket.Id) is { From: { } before }) Track(ReturnAsync(ticket.Id, before, ticket.Head.Deadline));
                break;
            case { Refused: true, Fault: { Error: not ServingError.Cancelled } refusal }:
                Drop(ticket.Id);
                await EndAsync(ticket.Id, new RequestEvent.Failed(refusal)); // it is nobody's: nothing was accepted
                break;
            case { Fault: { Error: not ServingError.Cancelled } fault }:
                await FailAsync(ticket, fault);
                break;
            default:
                LetGo(ticket.Id, ticket.Shape.Resume, ticket.Head.Deadline);
                break;
        }
    }

    /// <summary>Drops a request that turned out to be another's, and ends it in its log, as well as can be.</summary>
    public async Task DropAsync(Ticket ticket, RequestEvent end)
    {
        ticket.Holds = false;
        Drop(ticket.Id);
        await EndAsync(ticket.Id, end);
    }

    /// <summary>Done with it: it has ended, or is promised by an id, or is left to the client to take up elsewhere. The hold, where that was its last connection; else null.</summary>
    private Held? Drop(RequestId id)
    {
        lock (_lock)
        {
            return _held.TryGetValue(id, out var hold) && --hold.Connections == 0 && _held.Remove(id) ? hold : null;
        }
    }

    /// <summary>It failed for this connection. It ends with it where it is this one's alone; others that wait for it, here or at another gateway, go on.</summary>
    private async Task FailAsync(Ticket ticket, ServingFault fault)
    {
        if (Drop(ticket.Id) is not { } hold) return;

        if (hold.From is { } from)
        {
            Track(ReturnAsync(ticket.Id, from, ticket.Head.Deadline));
            return;
        }

        try
        {
            await log.LapseAsync(ticket.Id, Holder, new RequestEvent.Failed(fault), CancellationToken.None);
        }
        catch (Exception e)
        {
            LogFailed(e, ticket.Id);
        }
    }

    /// <summary>The client has gone: if it was the request's last one, the request ends after <paramref name="grace"/>, or at its deadline by others.</summary>
    private void LetGo(RequestId id, TimeSpan grace, DateTimeOffset deadline)
    {
        lock (_lock)
        {
            if (!_held.TryGetValue(id, out var hold) || --hold.Connections > 0) return;

            hold.Grace = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            Track(EndAfterAsync(id, hold, grace, deadline, hold.Grace));
        }
    }

    /// <summary>A stop waits for it.</summary>
    private void Track(Task ending)
    {
        if (ending.IsCompleted) return;

        lock (_lock) _ending.Add(ending);
        _ = ending.ContinueWith(done => Forget(done), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task EndAsync(RequestId id, RequestEvent end)
    {
        try
        {
            await log.EndAsync(id, end, CancellationToken.None);
        }
        catch (Exception e)
        {
            LogFailed(e, id);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>
    /// What was taken over goes back to whom it was taken from: with this process's lease it would end, though its first client is there. What is in its grace is left to its client and
    /// the next gateway: this one's lease runs out.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        (RequestId Id, string From)[] taken;
        lock (_lock) taken = [.. _held.Where(held => held.Value is { From: not null, Connections: > 0 }).Select(held => (held.Key, held.Value.From!))];
        await _stopping.CancelAsync();
        foreach (var (id, from) in taken) Track(ReturnAsync(id, from, time.GetUtcNow() + LongestStop));
        while (Ending() is { Length: > 0 } ending && !cancellationToken.IsCancellationRequested)
        {
            await Task.WhenAll(ending).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose() => _stopping.Dispose();

    private Task[] Ending()
    {
        lock (_lock) return [.. _ending.Where(ending => !ending.IsCompleted)];
    }

    private void Forget(Task ending)
    {
        lock (_lock) _ending.Remove(ending);
    }

    private async Task EndAfterAsync(RequestId id, Held hold, TimeSpan grace, DateTimeOffset deadline, CancellationTokenSource returned)
    {
        try
        {
            if (grace > TimeSpan.Zero) await Task.Delay(grace, time, returned.Token);
            else await Task.Yield();

            // Whom it is held by meanwhile may give it back: it is asked for until it has ended.
            var backoff = new Backoff(FirstPause, LongestPause);
            while (IsLeft(hold) && !await TryLapseAsync(id, hold.From, returned.Token) && time.GetUtcNow() < deadline) await Task.Delay(backoff.Next(), time, returned.Token);
        }
        catch (OperationCanceledException) when (returned.IsCancellationRequested)
        {
            // Its client is back, or this process ends.
            if (_stopping.IsCancellationRequested && hold.From is { } from) await ReturnAsync(id, from, time.GetUtcNow() + LongestStop);
        }
        finally
        {
            Close(id, hold, returned);
        }
    }

    private bool IsLeft(Held hold)
    {
        lock (_lock) return hold.Connections == 0;
    }

    private void Close(RequestId id, Held hold, CancellationTokenSource returned)
    {
        lock (_lock)
        {
            if (hold.Grace == returned) hold.Grace = null;
            if (hold is { Connections: 0, Grace: null } && _held.GetValueOrDefault(id) == hold) _held.Remove(id);
        }

        returned.Dispose(); // also when its client is back: it is linked to the process's own, which would keep it
    }

    /// <summary>Whether nothing is left to do: it has ended, or is another's again.</summary>
    private async Task<bool> TryLapseAsync(RequestId id, string? from, CancellationToken cancellationToken)
    {
        try
        {
            if (from is not null && await GiveBackAsync(id, from, cancellationToken)) return true;

            var lapsed = await log.LapseAsync(id, Holder, ClientGone, cancellationToken);
            if (lapsed.Holder is not { Length: > 0 } holder) return true;
            LogElsewhere(id, holder);
            return false;
        }
        catch (ServingException e) when (e.Fault.Error == ServingError.StoreUnavailable)
        {
            LogNotEnded(id, e.Message);
            return false;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            LogFailed(e, id);
            return true;
        }
    }

    /// <summary>Gives it back to whom it was taken from, as soon as the log can be told.</summary>
    private async Task ReturnAsync(RequestId id, string from, DateTimeOffset deadline)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        while (true)
        {
            try
            {
                await GiveBackAsync(id, from, CancellationToken.None);
                return;
            }
            catch (ServingException e) when (e.Fault.Error == ServingError.StoreUnavailable && time.GetUtcNow() < deadline)
            {
                LogNotEnded(id, e.Message);
            }
            catch (Exception e)
            {
                LogFailed(e, id);
                return;
            }

            await Task.Delay(backoff.Next(), time, CancellationToken.None);
        }
    }

    /// <summary>False: it is not this gateway's to give, for it has ended or another took it over.</summary>
    private async Task<bool> GiveBackAsync(RequestId id, string from, CancellationToken cancellationToken)
    {
        if ((await log.ReadHeadAsync(id, cancellationToken))?.Holder != Holder) return false;

        await log.HoldAsync(id, Promise.Connection, from, cancellationToken);
        LogElsewhere(id, from);
        return true;
    }

    [LoggerMessage(LogLevel.Debug, "The client of {Request} has gone; it runs on, held by '{Holder}'.")]
    private partial void LogElsewhere(RequestId request, string holder);

    [LoggerMessage(LogLevel.Warning, "The client of {Request} has gone, but its log cannot be told; it is tried again until its deadline: {Reason}")]
    private partial void LogNotEnded(RequestId request, string reason);

    [LoggerMessage(LogLevel.Error, "{Request} is to end, but its log failed; it runs on to its deadline.")]
    private partial void LogFailed(Exception exception, RequestId request);

    private sealed class Held
    {
        public int Connections { get; set; }

        /// <summary>Whom it was taken from while its client was there.</summary>
        public string? From { get; set; }

        /// <summary>Cancelled when a client is back; null while there is one.</summary>
        public CancellationTokenSource? Grace { get; set; }
    }
}
