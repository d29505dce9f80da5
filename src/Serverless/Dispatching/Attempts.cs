using System.Globalization;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>Replicas and what they run: attempts that begin, are adopted from an earlier dispatcher, leave, and are lost. Not thread-safe.</summary>
internal sealed class Attempts(ModelName model, long epoch, RequestTable table, Ends ends, DispatchPorts ports, LoopCalls calls, DemandPublisher publisher)
{
    private readonly LostAttempts _losses = new(table, ports.Time);
    private readonly List<ReplicaState> _replicas = [];
    private readonly List<(TrackedRequest Request, Guid Nonce)> _unasserted = [];

    public IReadOnlyList<ReplicaState> Replicas => _replicas;

    /// <summary>Whether the request could begin now, if none waited before it.</summary>
    public bool HasRoomFor(TrackedRequest request) => DispatchPlanner.Choose(request.Entry, _replicas) is not null;

    /// <summary>(d) Begins an attempt at that replica, where the log allows it.</summary>
    public void Begin(TrackedRequest request, ReplicaState replica)
    {
        table.Attach(request, replica);
        var nonce = request.Nonce = Guid.NewGuid();
        calls.Ask(
            cancellationToken => BeginAsync(request.Request, nonce, cancellationToken),
            begun =>
            {
                if (request.Nonce == nonce) Assign(request, begun);
            },
            () =>
            {
                if (request.Nonce == nonce) table.Requeue(request);
            });
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
            if (request is not { Accepted: true }) replica.Claims[held.Id] = held;
            else if (request.Replica is null) Adopt(request, replica, held);
            else replica.Session.TrySend(new DispatcherMessage.Cancel(held.Id));
        }
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
                ends.Complete(request, ended.OutputTokens);
                break;
            case AttemptOutcome.Lost:
                replica.Draining = true; // its engine is gone, and it will say so
                _losses.Lose(request);
                ports.Observer.AttemptLost(request.Request, replica.Worker.Worker);
                break;
            default:
                table.Requeue(request);
                break;
        }
    }

    private void ObserveRun(TrackedRequest request, int outputTokens)
    {
        if (request.AssignedAt is not { } since) return;

        var took = ports.Time.GetUtcNow() - since;
        if (request.Cancelled) publisher.Runs.Stopped(took);
        else publisher.Runs.Ended(took, outputTokens);
    }

    /// <summary>The log's store has another run than the fence of a running attempt: it is asserted there again.</summary>
    public void Reassert(ReplicaState replica, WorkerMessage.StoreChanged changed)
    {
        if (table.Find(changed.Id) is { } request && request.Replica == replica && request.Attempt == changed.Attempt) Assert(request, request.Nonce);
        else if (!replica.Claims.ContainsKey(changed.Id)) replica.Session.TrySend(new DispatcherMessage.Cancel(changed.Id));
    }

    /// <summary>Asserts again what could not be.</summary>
    public void Tick(bool storeIsOpen)
    {
        _losses.Tick();
        if (!storeIsOpen || _unasserted.Count == 0) return;

        var again = _unasserted.ToArray();
        _unasserted.Clear();
        foreach (var (request, nonce) in again) Assert(request, nonce);
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
            ends.Complete(request, 0);
        }
        else if (!request.Cancelled)
        {
            request.Cancelled = true;
            request.Replica.Session.TrySend(new DispatcherMessage.Cancel(id));
        }
    }

    /// <summary>Asks for work of the batch lane back, if that makes room.</summary>
    public void MakeRoom(BacklogEntry entry)
    {
        foreach (var request in DispatchPlanner.ChoosePreempted(entry, _replicas))
        {
            request.Preempted = true;
            request.Replica!.Session.TrySend(new DispatcherMessage.Preempt(request.Id));
        }
    }

    private static ServingFault Poison(int losses) =>
        new(ServingError.Poisoned, string.Create(CultureInfo.InvariantCulture, $"{losses} attempts in a row were lost with their worker before a token came; the request is taken to be the cause and will not be tried again."));

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
            ends.Complete(request, 0);
            return;
        }

        _losses.Begun(request, begun);
        if (LostAttempts.IsLethal(request))
        {
            ports.Observer.Poisoned(request.Request);
            ends.Fail(request, Poison(request.Losses), begun.Fence.Attempt - 1);
            return;
        }

        request.Fence = begun.Fence;
        if (!replica.Draining && replica.Session.TrySend(new DispatcherMessage.Assign(new Assignment(request.Request, begun.Fence, begun.LastSequence, begun.Output))))
        {
            var now = ports.Time.GetUtcNow();
            var waited = now - request.Request.AcceptedAt; // by another machine's clock
            if (begun.Output.Count == 0) request.AssignedAt = now;
            ports.Observer.Assigned(request.Request, replica.Worker.Worker, begun.Fence.Attempt, waited > TimeSpan.Zero ? waited : TimeSpan.Zero);
            return;
        }

        replica.Draining = true; // its session ends or is stuck; what it runs is accounted for when it closes
        table.Requeue(request);
    }

    private void Adopt(TrackedRequest request, ReplicaState replica, HeldAttempt held)
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
            adopted =>
            {
                if (request.Nonce == nonce) GoOn(request, replica, adopted);
            },
            () => _unasserted.Add((request, nonce)));
    }

    private void GoOn(TrackedRequest request, ReplicaState replica, AdoptResult adopted)
    {
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
            default:
                ends.Complete(request, 0);
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
