using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>The state of one dispatcher and what each input does to it. Used by one loop: not thread-safe.</summary>
internal sealed class DispatchLoop(
    ModelName model, long epoch, IRequestLog log, IDemandFeed demand, IDispatchObserver observer, TimeProvider time, ChannelWriter<DispatchInput> inbox)
{
    private const int MaxLosses = 3;

    private readonly Backlog _backlog = new();
    private readonly Dictionary<RequestId, TrackedRequest> _requests = [];
    private readonly SortedSet<(DateTimeOffset Deadline, string Id)> _deadlines = [];
    private readonly List<ReplicaState> _replicas = [];
    private readonly OutputLengthEstimate _outputLength = new();
    private readonly DemandPublisher _publisher = new(model, demand, time);

    public async ValueTask HandleAsync(DispatchInput input, CancellationToken cancellationToken)
    {
        switch (input)
        {
            case DispatchInput.Delivered delivered:
                await DeliverAsync(delivered.Delivery, cancellationToken);
                break;
            case DispatchInput.Opened opened:
                _replicas.Add(opened.Replica);
                break;
            case DispatchInput.Said { Message: WorkerMessage.AttemptEnded ended } said:
                await LeftAsync(said.Replica, ended, cancellationToken);
                break;
            case DispatchInput.Said { Message: WorkerMessage.Report report } said:
                said.Replica.Load = report.Load;
                break;
            case DispatchInput.Said { Message: WorkerMessage.Draining } said:
                said.Replica.Draining = true;
                said.Replica.Session.TrySend(new DispatcherMessage.Drain()); // what was assigned before this is the last
                break;
            case DispatchInput.Closed closed:
                Lose(closed.Replica);
                break;
            case DispatchInput.Ended ended:
                await StopAsync(ended.Id, cancellationToken);
                break;
            case DispatchInput.Began began when began.Nonce == began.Request.Nonce:
                await AssignAsync(began.Request, began.Result, cancellationToken);
                break;
            case DispatchInput.Tick:
                await ExpireAsync(cancellationToken);
                break;
            case DispatchInput.Faulted faulted:
                ExceptionDispatchInfo.Throw(faulted.Exception);
                break;
        }
    }

    /// <summary>(d) Hands out what can be handed out, and tells the scaler.</summary>
    public void Advance(CancellationToken cancellationToken)
    {
        while (_backlog.Peek() is { } entry)
        {
            if (DispatchPlanner.Choose(entry, _replicas) is { } replica)
            {
                var request = _requests[entry.Request.Id];
                _backlog.Take(entry);
                request.Replica = replica;
                replica.Add(request);
                Begin(request, cancellationToken);
            }
            else if (DispatchPlanner.NeverFits(entry, _replicas, out var largest))
            {
                Observe(FailAsync(_requests[entry.Request.Id], TooLarge(entry.Request, largest), cancellationToken).AsTask(), cancellationToken);
            }
            else
            {
                break;
            }
        }

        _publisher.Publish(_backlog, _requests.Values, _replicas, _outputLength.MeanShare);
    }

    /// <summary>Tells every worker that this dispatcher gives it no more.</summary>
    public void DrainReplicas()
    {
        foreach (var replica in _replicas) replica.Session.TrySend(new DispatcherMessage.Drain());
    }

    private static ServingFault TooLarge(InferenceRequest request, long largest) => new(
        ServingError.ContextTooLong,
        string.Create(CultureInfo.InvariantCulture, $"The prompt has {request.PromptTokens} tokens and the largest replica holds {largest}, prompt and output together; shorten the prompt."),
        "messages");

    private async ValueTask DeliverAsync(IRequestDelivery delivery, CancellationToken cancellationToken)
    {
        var request = delivery.Request;
        if (_requests.TryGetValue(request.Id, out var known))
        {
            known.Entry.Delivery = delivery;
            return;
        }

        var now = time.GetUtcNow();
        await log.AcceptAsync(request.Id, now, cancellationToken);

        var entry = new BacklogEntry(delivery, _outputLength.For(request));
        _requests.Add(request.Id, new TrackedRequest(entry));
        _deadlines.Add((request.Deadline, request.Id.Value));
        _backlog.Add(entry);
        if (request.Lane != Lane.Batch) _publisher.Arrived(request.PromptTokens, entry.ExpectedOutputTokens, now);
    }

    private void Begin(TrackedRequest request, CancellationToken cancellationToken)
    {
        var nonce = request.Nonce = Guid.NewGuid();
        var begin = log.BeginAsync(request.Entry.Request.Id, epoch, nonce, cancellationToken);
        if (begin.IsCompletedSuccessfully)
        {
            var assign = AssignAsync(request, begin.GetAwaiter().GetResult(), cancellationToken);
            if (!assign.IsCompletedSuccessfully) Observe(assign.AsTask(), cancellationToken);
            return;
        }

        Observe(AnswerAsync(), cancellationToken);

        async Task AnswerAsync() => await inbox.WriteAsync(new DispatchInput.Began(request, nonce, await begin), cancellationToken);
    }

    private async ValueTask AssignAsync(TrackedRequest request, BeginResult begun, CancellationToken cancellationToken)
    {
        if (request.Replica is not { } replica) return;

        if (begun.Status == BeginStatus.StaleEpoch) throw new InvalidOperationException($"Epoch {epoch} of the dispatcher of '{model}' is stale: another one has taken over.");
        if (begun.Status != BeginStatus.Begun)
        {
            await CompleteAsync(request, 0, cancellationToken);
            return;
        }

        if (begun.Output.Count > request.OutputSeen) (request.Losses, request.OutputSeen) = (0, begun.Output.Count);
        var losses = request.Entry.Delivery.Redelivered ? Math.Max(request.Losses, begun.AttemptsWithoutProgress) : request.Losses;
        if (losses >= MaxLosses)
        {
            observer.Poisoned(request.Entry.Request);
            await FailAsync(request, Poison(losses), cancellationToken);
            return;
        }

        var assignment = new Assignment(request.Entry.Request, begun.Fence, begun.LastSequence, begun.Output);
        if (!replica.Draining && replica.Session.TrySend(new DispatcherMessage.Assign(assignment)))
        {
            observer.Assigned(request.Entry.Request, replica.Worker.Worker, begun.Fence.Attempt, time.GetUtcNow() - request.Entry.Request.AcceptedAt);
            return;
        }

        replica.Draining = true; // its session ends or is stuck; what it runs is accounted for when it closes
        Requeue(request);
    }

    private static ServingFault Poison(int losses) =>
        new(ServingError.Poisoned, $"{losses} attempts in a row were lost with their worker before a token came; the request is taken to be the cause and will not be tried again.");

    private async ValueTask LeftAsync(ReplicaState replica, WorkerMessage.AttemptEnded ended, CancellationToken cancellationToken)
    {
        if (!_requests.TryGetValue(ended.Id, out var request) || request.Replica != replica) return;

        switch (ended.Outcome)
        {
            case AttemptOutcome.Ended:
                _outputLength.Observe(request.Entry.Request, ended.OutputTokens);
                await CompleteAsync(request, ended.OutputTokens, cancellationToken);
                break;
            case AttemptOutcome.Lost:
                replica.Draining = true; // its engine is gone, and it will say so
                LoseAttempt(replica, request);
                break;
            default:
                Requeue(request);
                break;
        }
    }

    private void Lose(ReplicaState replica)
    {
        _replicas.Remove(replica);
        foreach (var request in replica.Running.Values.ToArray()) LoseAttempt(replica, request);
    }

    private void LoseAttempt(ReplicaState replica, TrackedRequest request)
    {
        request.Losses++;
        observer.AttemptLost(request.Entry.Request, replica.Worker.Worker);
        Requeue(request);
    }

    private void Requeue(TrackedRequest request)
    {
        request.Replica!.Remove(request);
        request.Replica = null;
        request.Nonce = default;
        request.Cancelled = false;
        _backlog.Return(request.Entry);
    }

    /// <summary>The log says that a request ended without its worker: cancelled by its holder, or by us.</summary>
    private async ValueTask StopAsync(RequestId id, CancellationToken cancellationToken)
    {
        if (!_requests.TryGetValue(id, out var request)) return;

        if (request.Replica is null)
        {
            await CompleteAsync(request, 0, cancellationToken);
        }
        else if (!request.Cancelled)
        {
            request.Cancelled = true;
            request.Replica.Session.TrySend(new DispatcherMessage.Cancel(id));
        }
    }

    private async ValueTask ExpireAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        while (_deadlines.Count > 0 && _deadlines.Min.Deadline <= now)
        {
            var expired = _deadlines.Min;
            _deadlines.Remove(expired);
            var request = _requests[new RequestId(expired.Id)].Entry.Request;
            var fault = new ServingFault(
                ServingError.DeadlineExceeded,
                string.Create(CultureInfo.InvariantCulture, $"The request did not end within its deadline of {(request.Deadline - request.AcceptedAt).TotalSeconds:F0} s; allow more with X-Request-Timeout."));
            if (await log.EndAsync(request.Id, new RequestEvent.Failed(fault), cancellationToken)) observer.Expired(request);
            await StopAsync(request.Id, cancellationToken);
        }
    }

    private async ValueTask FailAsync(TrackedRequest request, ServingFault fault, CancellationToken cancellationToken)
    {
        // The end first, the dead letter after it: what is lost between the two is done again, never forgotten.
        Forget(request, 0);
        await log.EndAsync(request.Entry.Request.Id, new RequestEvent.Failed(fault), cancellationToken);
        await request.Entry.Delivery.DeadLetterAsync(fault, cancellationToken);
    }

    private ValueTask CompleteAsync(TrackedRequest request, int outputTokens, CancellationToken cancellationToken)
    {
        Forget(request, outputTokens);
        return request.Entry.Delivery.CompleteAsync(cancellationToken);
    }

    private void Forget(TrackedRequest request, int outputTokens)
    {
        var entry = request.Entry;
        request.Nonce = default;
        _requests.Remove(entry.Request.Id);
        _deadlines.Remove((entry.Request.Deadline, entry.Request.Id.Value));
        if (request.Replica is { } replica)
        {
            replica.Remove(request);
            _backlog.Settle(entry, outputTokens);
        }
        else
        {
            _backlog.Remove(entry);
        }
    }

    private void Observe(Task task, CancellationToken cancellationToken) => _ = task.ContinueWith(
        done => inbox.WriteAsync(new DispatchInput.Faulted(done.Exception!.GetBaseException()), cancellationToken).AsTask(),
        cancellationToken,
        TaskContinuationOptions.OnlyOnFaulted,
        TaskScheduler.Default);
}
