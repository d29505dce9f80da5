using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// The requests that connections to this gateway hold. When the last of a request's connections here has gone it is held for its grace, and then not any more; its log ends it where no
/// other gateway holds it. Nobody gives it to another: each gateway takes a hold and lets go of its own. Thread-safe.
/// </summary>
internal sealed partial class HeldRequests(IRequestLog log, ILeases leases, GatewayIdentity gateway, TimeProvider time, ILogger<HeldRequests> logger) : IHostedService, IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>What cannot be let go of for so long at a stop is left: the process ends before.</summary>
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

    /// <summary>A connection has the request; each take is answered by one <see cref="LeaveAsync"/> or <see cref="DropAsync"/>. Its log is told next.</summary>
    public void Take(RequestId id)
    {
        lock (_lock)
        {
            if (!_held.TryGetValue(id, out var hold)) _held[id] = hold = new Held();
            hold.Connections++;
            (var grace, hold.Grace) = (hold.Grace, null);
            _ = grace?.CancelAsync(); // its callbacks run elsewhere, never under this lock; within it, so that nobody disposes of it first
        }
    }

    /// <summary>Somebody listens here to a request that a connection promised: this gateway holds it too from now on. Answered by a leave where it is held.</summary>
    /// <param name="id">The request.</param>
    /// <param name="grace">How long it is held where this fails: what was asked of the log may have been done.</param>
    /// <param name="deadline">The request's.</param>
    /// <exception cref="ServingException"><see cref="ServingError.StoreUnavailable"/>.</exception>
    public async ValueTask<HoldResult> TakeOverAsync(RequestId id, TimeSpan grace, DateTimeOffset deadline)
    {
        Take(id);
        try
        {
            // Not the caller's to cancel: a call that was sent is done, though nobody waits for it.
            var result = await log.HoldAsync(id, Promise.Connection, Holder, CancellationToken.None);
            if (result != HoldResult.Held) Drop(id);
            return result;
        }
        catch
        {
            LetGo(id, grace, deadline, ClientGone);
            throw;
        }
    }

    /// <summary>The caller of the ticket has left. What nobody answers for any more is ended, after its grace if it has one.</summary>
    public async Task LeaveAsync(Ticket ticket)
    {
        if (!ticket.Holds) return;

        ticket.Holds = false;
        switch (ticket)
        {
            case { Ended: true }:
                if (Drop(ticket.Id)) log.Forget(ticket.Id, Holder); // the answer was given; only its holder may let it go
                break;
            case { HandedOn: true }:
                LetGo(ticket.Id, TimeSpan.Zero, ticket.Head.Deadline, null);
                break;
            case { Refused: true, Fault: { Error: not ServingError.Cancelled } refusal }:
                Drop(ticket.Id);
                await EndAsync(ticket.Id, new RequestEvent.Failed(refusal)); // it is nobody's: nothing was accepted
                break;
            case { Fault: { Error: not ServingError.Cancelled } fault }:
                LetGo(ticket.Id, TimeSpan.Zero, ticket.Head.Deadline, new RequestEvent.Failed(fault));
                break;
            default:
                LetGo(ticket.Id, ticket.Shape.Resume, ticket.Head.Deadline, ClientGone);
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

    /// <summary>Done with it: it has ended, or was never held. True: that was its last connection here.</summary>
    private bool Drop(RequestId id)
    {
        lock (_lock) return _held.TryGetValue(id, out var hold) && --hold.Connections == 0 && _held.Remove(id);
    }

    /// <summary>
    /// A connection has gone: if it was the request's last one here, this gateway lets go of it after <paramref name="grace"/>, and whoever is its last holder ends it with
    /// <paramref name="end"/>, or at its deadline by others. Null: it goes on without this one, and the last holder keeps it, to be taken over or lost.
    /// </summary>
    private void LetGo(RequestId id, TimeSpan grace, DateTimeOffset deadline, RequestEvent? end)
    {
        Held? hold;
        CancellationTokenSource back;
        lock (_lock)
        {
            if (!_held.TryGetValue(id, out hold) || --hold.Connections > 0) return;

            hold.Grace = back = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        }

        Track(LetGoAsync(id, hold, grace, deadline, end, back));
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
    /// What others hold too is theirs alone from now on. What this one holds alone, with a client or in its grace, is left to that client and the next gateway: this one's lease runs out.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        RequestId[] followed;
        lock (_lock) followed = [.. _held.Where(held => held.Value.Connections > 0).Select(held => held.Key)];
        await _stopping.CancelAsync();
        foreach (var id in followed) Track(LeaveToOthersAsync(id));
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

    private async Task LetGoAsync(RequestId id, Held hold, TimeSpan grace, DateTimeOffset deadline, RequestEvent? end, CancellationTokenSource back)
    {
        try
        {
            if (grace > TimeSpan.Zero) await Task.Delay(grace, time, back.Token);

            // Until it has ended: the gateway that holds it yet may be lost without a word, and no dispatcher watches but the one that held it first.
            var (other, backoff) = (new Other(), new Backoff(FirstPause, LongestPause));
            while (IsLeft(hold, back) && !await TryLapseAsync(id, end, other) && time.GetUtcNow() < deadline) await Task.Delay(backoff.Next(), time, back.Token);
        }
        catch (OperationCanceledException) when (back.IsCancellationRequested)
        {
            // Its client is back, or this process ends.
            if (_stopping.IsCancellationRequested && IsLeft(hold, back)) await LeaveToOthersAsync(id);
        }
        finally
        {
            Close(id, hold, back);
        }
    }

    private bool IsLeft(Held hold, CancellationTokenSource back)
    {
        lock (_lock) return hold.Grace == back;
    }

    private void Close(RequestId id, Held hold, CancellationTokenSource back)
    {
        lock (_lock)
        {
            if (hold.Grace == back) hold.Grace = null;
            if (hold is { Connections: 0, Grace: null } && _held.GetValueOrDefault(id) == hold) _held.Remove(id);
        }

        back.Dispose(); // also when its client is back: it is linked to the process's own, which would keep it
    }

    /// <summary>Lets go of it in its log. Whether nothing is left to do: it has ended, or goes on without this one.</summary>
    private async Task<bool> TryLapseAsync(RequestId id, RequestEvent? end, Other other)
    {
        try
        {
            var lapsed = await log.LapseAsync(id, Holder, end, CancellationToken.None);
            if (end is null || lapsed.Holder is not { Length: > 0 } holder) return true;

            LogElsewhere(id, holder);
            if (await IsGoneAsync(holder, other)) await log.LapseAsync(id, holder, ClientGone, CancellationToken.None); // the next round says whether others are left
            return false;
        }
        catch (ServingException e) when (e.Fault.Error == ServingError.StoreUnavailable)
        {
            other.AbsentSince = null; // nothing is known of anybody
            LogNotEnded(id, e.Message);
            return false;
        }
        catch (Exception e)
        {
            LogFailed(e, id);
            return true;
        }
    }

    private async Task<bool> IsGoneAsync(string holder, Other other)
    {
        var isThere = await leases.ReadAsync(LeaseNames.Gateway(holder), CancellationToken.None) is not null;
        if (isThere || other.Name != holder) other.AbsentSince = null;
        other.Name = holder;
        if (!isThere) other.AbsentSince ??= time.GetUtcNow();
        return time.GetUtcNow() - other.AbsentSince >= LeaseTimes.Absence;
    }

    /// <summary>As soon as the log can be told.</summary>
    private async Task LeaveToOthersAsync(RequestId id)
    {
        var (other, backoff, until) = (new Other(), new Backoff(FirstPause, LongestPause), time.GetUtcNow() + LongestStop);
        while (!await TryLapseAsync(id, null, other) && time.GetUtcNow() < until) await Task.Delay(backoff.Next(), time, CancellationToken.None);
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

        /// <summary>Cancelled when a client is back; null while there is one.</summary>
        public CancellationTokenSource? Grace { get; set; }
    }

    /// <summary>Another gateway that holds what this one has let go of.</summary>
    private sealed class Other
    {
        public string? Name { get; set; }

        /// <summary>Since when its lease is not there; null while it is, or nothing is known.</summary>
        public DateTimeOffset? AbsentSince { get; set; }
    }
}
