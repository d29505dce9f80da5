using System.Globalization;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>Replicas and what they run: attempts that begin, are adopted from an earlier dispatcher, leave, and are lost. Not thread-safe.</summary>
internal sealed class AttemptTracker(ModelName model, long epoch, RequestTable table, RequestEnder ender, DispatchPorts ports, LoopCalls calls, DemandPublisher publisher)
{
    /// <summary>How often an attempt may come back unfinished and unasked without a token in between: with the pauses, about a minute.</summary>
    private const int MaxReturns = 12;

    private static readonly TimeSpan FirstReturnPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestReturnPause = TimeSpan.FromSeconds(10);

    /// <summary>How long a worker may take to stop what it was told to stop. It has a watchdog of its own, which is quicker.</summary>
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(20);

    private readonly LostAttempts _losses = new(table, ports.Time);
    private readonly List<ReplicaState> _replicas = [];
    private readonly List<(TrackedRequest Request, Guid Nonce, DateTimeOffset NotBefore)> _unasserted = [];
    private readonly List<TrackedRequest> _stopping = [];

    public IReadOnlyList<ReplicaState> Replicas => _replicas;

    /// <summary>Whether any worker says that it runs what has not been delivered here.</summary>
    public bool HasClaims => _replicas.Exists(replica => replica.Claims.Count > 0);

    /// <summary>Whether the request could begin now, if none waited before it.</summary>
    public bool HasRoomFor(TrackedRequest request) => DispatchPlanner.Choose(request.Entry, _replicas) is not null || DispatchPlanner.ChoosePreempted(request.Entry, _replicas) is not null;

    /// <summary>(d) Begins an attempt at that replica, where the log allows it.</summary>
    public void Begin(TrackedRequest request, ReplicaState replica)
    {
        table.Attach(request, replica);
        var nonce = request.Nonce = Guid.NewGuid();
        calls.Ask(
            cancellationToken => BeginAsync(request.Request, nonce, cancellationToken),
            begun => new DispatchInput.Begun(request, nonce, begun),
            new DispatchInput.Begun(request, nonce, null));
    }

    /// <summary>The log has answered to <see cref="Begin"/>: the request goes to its worker.</summary>
    public void GoOn(DispatchInput.Begun begun)
    {
        var request = begun.Request;
        if (request.Nonce != begun.Nonce) return;

        if (begun.Result is { } result)
        {
            Assign(request, result);
            return;
        }

        table.Requeue(request);
        if (!begun.IsStoreAway) table.Defer(request, ports.Time.GetUtcNow() + StoreGate.Pause);
    }

    /// <summary>Takes the request over if a worker says that it runs it.</summary>
    public bool TryAdopt(TrackedRequest request)
    {
        // Of several the newest attempt; the log has fenced the others off.
        if (_replicas.Where(replica => replica.Claims.ContainsKey(request.Id)).MaxBy(replica => replica.Claims[request.Id].Attempt) is not { } claiming) return false;

        Adopt(request, claiming, claiming.Claims[request.Id]);
        return true;
    }

    /// <summary>A worker registered. What it runs and is waiting here is its own again; what has been begun elsewhere it drops.</summary>
    public void Open(ReplicaState replica)
    {
        if (_replicas.Find(other => other.Worker.Worker == replica.Worker.Worker) is { } before) Supersede(before);
        _replicas.Add(replica);
        _losses.Return(replica.Worker.Worker);
        foreach (var held in replica.Worker.Running)
        {
            var request = table.Find(held.Id);
            replica.Claims[held.Id] = held; // it takes a slot until its worker says otherwise
            if (request is not { Accepted: true }) continue;
            if (request.Replica is null && !request.Entry.NotUnderstoodBy.Contains(replica.Worker.Worker)) Adopt(request, replica, held);
            else replica.Session.TrySend(new DispatcherMessage.Cancel(held.Id));
        }

        table.ResumeParked();
    }

    /// <summary>A session ended with all that its worker ran.</summary>
    public void Close(ReplicaState replica)
    {
        if (!_replicas.Remove(replica)) return;
        foreach (var request in replica.Running.Values.ToArray())
        {
            _losses.LoseSession(request, replica.Worker.Worker);
            ports.Observer.AttemptLost(request.Request, replica.Worker.Worker);
        }
    }

    /// <summary>An attempt left its worker.</summary>
    public void Leave(ReplicaState replica, WorkerMessage.AttemptEnded ended)
    {
        if (replica.Claims.Remove(ended.Id)) return;
        if (table.Find(ended.Id) is not { Attempt: > 0 } request || request.Replica != replica || (ended.Attempt > 0 && ended.Attempt != request.Attempt)) return;

        switch (ended.Outcome)
        {
            case AttemptOutcome.Ended:
                table.OutputLength.Observe(request.Entry.Request, ended.OutputTokens);
                ObserveRun(request, ended.OutputTokens);
                publisher.Served((long)request.Entry.Request.PromptTokens + ended.OutputTokens);
                ender.Complete(request, ended.How ?? (request.Cancelled ? request.StoppedAs : RequestOutcome.Finished), new TokenUsage(request.Entry.Request.PromptTokens, ended.OutputTokens, ended.CachedTokens));
                break;
            case AttemptOutcome.Lost:
                replica.Draining = true; // its engine is gone, and it will say so
                _losses.Lose(request);
                ports.Observer.AttemptLost(request.Request, replica.Worker.Worker);
                break;
            case AttemptOutcome.NotUnderstood: // that attempt only: another worker may
                request.Entry.NotUnderstoodBy.Add(replica.Worker.Worker);
                table.Requeue(request);
                ports.Observer.NotUnderstood(request.Request, replica.Worker.Worker);
                break;
            case AttemptOutcome.Fenced:
                table.Requeue(request);
                break;
            case AttemptOutcome.Busy: // the engine's matter, which its deadline bounds
                table.Requeue(request);
                request.Pauses ??= new Backoff(FirstReturnPause, LongestReturnPause);
                table.Defer(request, ports.Time.GetUtcNow() + request.Pauses.Next());
                break;
            default:
                GiveBack(request, asked: request.Cancelled || (ended.Outcome == AttemptOutcome.Returned && (request.Preempted || replica.Draining)));
                break;
        }
    }

    /// <summary>It came back unfinished. What was not asked for is begun again after a pause that grows, and not for ever: it may be the request.</summary>
    private void GiveBack(TrackedRequest request, bool asked)
    {
        table.Requeue(request);
        if (asked) return;

        request.Returns ??= new Backoff(FirstReturnPause, LongestReturnPause);
        var pause = request.Returns.Next();
        if (request.Returns.Failures < MaxReturns)
        {
            table.Defer(request, ports.Time.GetUtcNow() + pause);
            return;
        }

        ports.Observer.Poisoned(request.Request);
        ender.Fail(request, TooManyReturns(request.Returns.Failures), request.Returns.Failures);
    }

    private void ObserveRun(TrackedRequest request, int outputTokens)
    {
        if (request.AssignedAt is not { } since) return;

        var took = ports.Time.GetElapsedTime(since);
        if (request.Cancelled) publisher.Runs.Stopped(took);
        else publisher.Runs.Ended(took, outputTokens);
    }

    /// <summary>The log's store has another run than the fence of a running attempt: it is asserted there again.</summary>
    public void Reassert(ReplicaState replica, WorkerMessage.StoreChanged changed)
    {
        if (table.Find(changed.Id) is { } request && request.Replica == replica && request.Attempt == changed.Attempt) Assert(request, request.Nonce);
        else if (!replica.Claims.ContainsKey(changed.Id)) replica.Session.TrySend(new DispatcherMessage.Cancel(changed.Id));
    }

    /// <summary>Asserts again what could not be, and gives up waiting for workers that do not stop what they were told to stop.</summary>
    public void Tick(bool storeIsOpen)
    {
        var now = ports.Time.GetUtcNow();
        _losses.Tick();
        _stopping.RemoveAll(request => request.StopSentAt is null);
        foreach (var stuck in _stopping.Where(request => now - request.StopSentAt >= StopLimit).ToArray()) Abandon(stuck);
        if (!storeIsOpen || _unasserted.Count == 0) return;

        var again = _unasserted.Where(waiting => waiting.NotBefore <= now).ToArray();
        _unasserted.RemoveAll(waiting => waiting.NotBefore <= now);
        foreach (var (request, nonce, _) in again) Assert(request, nonce);
    }

    /// <summary>The log says that a request ended without its worker: cancelled by its holder, or by us.</summary>
    public void Stop(RequestId id)
    {
        if (table.Find(id) is not { } request)
        {
            foreach (var replica in _replicas.Where(replica => replica.Claims.ContainsKey(id))) replica.Session.TrySend(new DispatcherMessage.Cancel(id));
        }
        else if (request.Replica is null)
        {
            ender.Complete(request);
        }
        else if (!request.Cancelled)
        {
            request.Cancelled = true;
            Tell(request, new DispatcherMessage.Cancel(id));
        }
    }

    /// <summary>Asks for it back: it goes on later from what it has emitted.</summary>
    public void Preempt(TrackedRequest request)
    {
        request.Preempted = true;
        Tell(request, new DispatcherMessage.Preempt(request.Id));
    }

    private void Tell(TrackedRequest request, DispatcherMessage stop)
    {
        request.Replica!.Session.TrySend(stop);
        if (request.StopSentAt is null) _stopping.Add(request);
        request.StopSentAt ??= ports.Time.GetUtcNow();
    }

    /// <summary>
    /// Its worker does not stop it. The request goes its way; the session is closed, and the slot counts as taken until the worker that comes back no longer says that it runs it.
    /// </summary>
    private void Abandon(TrackedRequest request)
    {
        var replica = request.Replica!;
        ports.Observer.StopIgnored(request.Request, replica.Worker.Worker);
        request.Entry.NotUnderstoodBy.Add(replica.Worker.Worker); // never again there
        if (request.Cancelled) ender.Complete(request);
        else _losses.Lose(request);
        replica.Draining = true;
        replica.Session.Close();
    }

    private static ServingFault Poison(int losses) =>
        new(ServingError.Poisoned, string.Create(CultureInfo.InvariantCulture, $"{losses} attempts in a row were lost with their worker before a token came; the request is taken to be the cause and will not be tried again."));

    private static ServingFault TooManyReturns(int returns) =>
        new(ServingError.Poisoned, string.Create(CultureInfo.InvariantCulture, $"{returns} attempts in a row were given back by their worker before a token came; the request is taken to be the cause and will not be tried again."));

    private async ValueTask<BeginResult> BeginAsync(InferenceRequest request, Guid nonce, CancellationToken cancellationToken)
    {
        var begun = await ports.Log.BeginAsync(request.Id, epoch, nonce, cancellationToken);
        if (begun.Status != BeginStatus.Unknown || request.Promise != Promise.Id) return begun;

        await ports.Log.OpenAsync(request.Id, LogHead.Of(request), cancellationToken);
        return await ports.Log.BeginAsync(request.Id, epoch, nonce, cancellationToken);
    }

    private void Assign(TrackedRequest request, BeginResult begun)
    {
        var replica = request.Replica!;
        if (begun.Status == BeginStatus.StaleEpoch) throw new StaleEpochException(model, epoch);
        if (begun.Status != BeginStatus.Begun)
        {
            if (begun.Status == BeginStatus.Unknown) ender.Drop(request);
            else ender.CompleteEnded(request);
            return;
        }

        _losses.Begun(request, begun);
        if (LostAttempts.IsLethal(request))
        {
            ports.Observer.Poisoned(request.Request);
            ender.Fail(request, Poison(request.Losses), begun.Fence.Attempt - 1);
            return;
        }

        request.Fence = begun.Fence;
        if (!replica.Draining && replica.Session.TrySend(new DispatcherMessage.Assign(new Assignment(request.Request, begun.Fence, begun.LastSequence, begun.Output))))
        {
            var waited = ports.Time.GetUtcNow() - request.Request.AcceptedAt; // by another machine's clock
            if (begun.Output.Count == 0) request.AssignedAt = ports.Time.GetTimestamp();
            ports.Observer.Assigned(request.Request, replica.Worker.Worker, begun.Fence.Attempt, waited > TimeSpan.Zero ? waited : TimeSpan.Zero);
            return;
        }

        replica.Draining = true; // its session ends or is stuck; what it runs is accounted for when it closes
        table.Requeue(request);
    }

    private void Adopt(TrackedRequest request, ReplicaState replica, AttemptClaim held)
    {
        replica.Claims.Remove(request.Id);
        table.Enqueue(request);
        table.Attach(request, replica);
        request.Fence = new Fence(held.StoreRun, held.Attempt);
        request.Nonce = Guid.NewGuid();
        ports.Observer.Adopted(request.Request, replica.Worker.Worker, held.Attempt);
        Assert(request, request.Nonce);
    }

    private void Assert(TrackedRequest request, Guid nonce)
    {
        if (request.Replica is not { } replica || request.Nonce != nonce) return;
        var fence = request.Fence;
        calls.Ask(
            cancellationToken => ports.Log.AdoptAsync(request.Id, LogHead.Of(request.Request), epoch, fence, cancellationToken),
            adopted => new DispatchInput.Adopted(request, replica, nonce, adopted),
            new DispatchInput.Adopted(request, replica, nonce, null));
    }

    /// <summary>The log has answered to an assertion.</summary>
    public void GoOn(DispatchInput.Adopted answer)
    {
        var (request, replica) = (answer.Request, answer.Replica);
        if (answer.Result is not { } adopted)
        {
            _unasserted.Add((request, answer.Nonce, ports.Time.GetUtcNow() + (answer.IsStoreAway ? TimeSpan.Zero : StoreGate.Pause)));
            return;
        }

        if (request.Nonce != answer.Nonce) return;

        switch (adopted.Status)
        {
            case BeginStatus.StaleEpoch:
                throw new StaleEpochException(model, epoch);
            case BeginStatus.Begun:
                request.Begun = true;
                request.Fence = adopted.Fence;
                replica.Session.TrySend(new DispatcherMessage.Refence(request.Id, adopted.Fence, adopted.LastSequence));
                break;
            case BeginStatus.Superseded:
                table.Requeue(request);
                replica.Session.TrySend(new DispatcherMessage.Cancel(request.Id));
                break;
            case BeginStatus.Unknown:
                ender.Drop(request);
                replica.Session.TrySend(new DispatcherMessage.Cancel(request.Id));
                break;
            default:
                ender.CompleteEnded(request);
                replica.Session.TrySend(new DispatcherMessage.Cancel(request.Id));
                break;
        }
    }

    /// <summary>The same worker came again before the end of its last session was seen: nothing is lost with that.</summary>
    private void Supersede(ReplicaState before)
    {
        _replicas.Remove(before);
        foreach (var request in before.Running.Values.ToArray()) table.Requeue(request);
        before.Session.Close();
    }
}
