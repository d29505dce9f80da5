using System.Globalization;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Gateway.Telemetry;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Step (g): reads a request's log to its end for one that waits for it. While nothing comes, the clock ticks: the deadline and the end of a shutdown, what must be submitted
/// again, the moment when an id takes over the promise. Thread-safe; one enumeration a ticket.
/// </summary>
internal sealed class RequestFollower(
    LogFollower follower,
    Submitter submitter,
    PromisedRequests promises,
    ShutdownGate shutdown,
    IDemandFeed demand,
    GatewayMetrics metrics,
    IOptions<StreamingOptions> options,
    TimeProvider time)
{
    private static readonly TimeSpan PromotionRetry = TimeSpan.FromSeconds(5);

    /// <summary>A stream that may yet be answered by an id says nothing for no longer: proxies cut what is silent for half a minute. From then on it is a stream, and stays one.</summary>
    private static readonly TimeSpan LongestSilentStream = TimeSpan.FromSeconds(25);

    public async IAsyncEnumerable<FollowStep> FollowAsync(Ticket ticket, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var state = new State { PromoteAt = ticket.PromoteAt };
        await foreach (var step in follower.FollowAsync(ticket.Id, options.Value.FirstNotice, options.Value.NoticeInterval, cancellationToken)) // (g)
        {
            switch (step.Kind)
            {
                case FollowKind.Event:
                    Note(ticket, state, step.Logged.Event);
                    yield return step;
                    break;

                case FollowKind.Idle:
                    yield return step;
                    break;

                case FollowKind.Gone when ticket.Submission is { } submission:
                    submission.Lost();
                    break;

                case FollowKind.Gone:
                    yield return Failed(ticket, step.Fault!);
                    yield break;

                default:
                    if (await TickAsync(ticket, state, step.Fault, cancellationToken) is not { } next) break;
                    yield return next;
                    if (next.Kind != FollowKind.Tick) yield break;
                    break;
            }
        }
    }

    private void Note(Ticket ticket, State state, RequestEvent logged)
    {
        ticket.Submission?.Heard(logged, time.GetUtcNow());
        switch (logged)
        {
            case RequestEvent.Started:
                ticket.Begun = true;
                break;

            case RequestEvent.Chunk when state.FirstOutputAt == 0:
                NoteFirstOutput(ticket, state);
                break;

            case RequestEvent.Finished finished:
                ticket.Ended = true;
                if (ticket.ArrivedAt != 0 && state.FirstOutputAt != 0) metrics.Finished(ticket.Shape.Endpoint, ticket.Shape.Model, finished.Usage.CompletionTokens, time.GetElapsedTime(state.FirstOutputAt));
                break;

            case RequestEvent.Failed failed:
                (ticket.Ended, ticket.Fault) = (true, failed.Fault);
                break;

            case RequestEvent.Cancelled:
                (ticket.Ended, ticket.Fault) = (true, RequestFaults.Cancelled);
                break;

            default:
                break;
        }
    }

    /// <summary>Whoever joined or came back does not measure the wait.</summary>
    private void NoteFirstOutput(Ticket ticket, State state)
    {
        state.FirstOutputAt = time.GetTimestamp();
        if (!ticket.Waits) return;

        ticket.Waits = false;
        metrics.WaitEnded(ticket.Shape.Model);
        if (ticket.ArrivedAt != 0) metrics.FirstOutput(ticket.Shape.Endpoint, ticket.Shape.Model, time.GetElapsedTime(ticket.ArrivedAt, state.FirstOutputAt));
    }

    /// <summary>What the caller is told; null: nothing, so that it does not begin an answer.</summary>
    private async ValueTask<FollowStep?> TickAsync(Ticket ticket, State state, ServingFault? outage, CancellationToken cancellationToken)
    {
        if (Overdue(ticket) is { } overdue) return Failed(ticket, overdue);

        if (state.PromoteAt is { } at)
        {
            var now = time.GetUtcNow();
            if (ticket.Shape.Stream && (state.FirstOutputAt != 0 || now >= ticket.Head.Deadline || (now < at && now >= Began(ticket) + LongestSilentStream))) state.PromoteAt = null; // a stream from now on
            else if (now < at) return await SubmitDueAsync(ticket, state, cancellationToken) is { } refusal ? Failed(ticket, refusal) : null;
            else if (await PromoteAsync(ticket, state, cancellationToken)) return new FollowStep(FollowKind.ById);
        }

        if (await SubmitDueAsync(ticket, state, cancellationToken) is { } refused) return Failed(ticket, refused);
        return new FollowStep(FollowKind.Tick, Fault: outage ?? (ticket.Submission?.Outage is null ? null : RequestFaults.QueueAway));
    }

    /// <summary>An id takes over; false: it goes on here.</summary>
    private async ValueTask<bool> PromoteAsync(Ticket ticket, State state, CancellationToken cancellationToken)
    {
        if (ticket is { Request: not null, Holds: true })
        {
            switch (await promises.PromoteAsync(ticket, cancellationToken))
            {
                case Promotion.Promoted:
                    break;
                case Promotion.Ended:
                    state.PromoteAt = null; // its answer comes next
                    return false;
                default:
                    state.PromoteAt = time.GetUtcNow() + PromotionRetry;
                    return false;
            }
        }

        ticket.HandedOn = true;
        metrics.Promised(ticket.Shape.Endpoint, ticket.Shape.Model);
        return true;
    }

    /// <summary>Submits the request again where it is due, without waiting for the queue; a refusal, where that is the answer.</summary>
    private async ValueTask<ServingFault?> SubmitDueAsync(Ticket ticket, State state, CancellationToken cancellationToken)
    {
        if (ticket.Submission is not { } submission) return null;

        if (state.Submitting is { IsCompleted: true } done)
        {
            state.Submitting = null;
            if (submission.Submitted(await done, time.GetUtcNow()) is { } refusal) return refusal;
        }

        if (demand.Latest(ticket.Head.Model) is { } latest) submission.DispatcherHeard(latest.At, time.GetUtcNow());
        if (state.Submitting is null && submission.IsDue(time.GetUtcNow())) state.Submitting = submitter.ResubmitAsync(ticket, cancellationToken);
        return null;
    }

    private static FollowStep Failed(Ticket ticket, ServingFault fault)
    {
        ticket.Fault = fault;
        return new FollowStep(FollowKind.Failed, Fault: fault);
    }

    private ServingFault? Overdue(Ticket ticket)
    {
        if (shutdown.Drained.IsCancellationRequested)
        {
            // What may be taken up elsewhere is not ended: its client comes back to another gateway.
            ticket.HandedOn = ticket.Head is { Promise: Promise.Id } or { Resumable: true };
            return ShutdownGate.Fault;
        }

        // The dispatcher normally ends an overdue request first.
        if (time.GetUtcNow() < ticket.Head.Deadline + options.Value.NoticeInterval) return null;

        return new ServingFault(
            ServingError.DeadlineExceeded,
            string.Create(CultureInfo.InvariantCulture, $"The request did not end within its {(ticket.Head.Deadline - Began(ticket)).TotalSeconds:0.#} s; allow more with the header 'X-Request-Timeout', or ask for fewer tokens."));
    }

    private static DateTimeOffset Began(Ticket ticket) => ticket.Request?.AcceptedAt ?? DateTimeOffset.FromUnixTimeSeconds(ticket.Shape.Created);

    private sealed class State
    {
        /// <summary>When an id takes over; null: not any more.</summary>
        public DateTimeOffset? PromoteAt { get; set; }

        /// <summary>Timestamp of the first output that this follower saw; 0 before.</summary>
        public long FirstOutputAt { get; set; }

        /// <summary>A submission that is under way.</summary>
        public Task<EnqueueResult>? Submitting { get; set; }
    }
}

/// <summary>What those are told who wait for a request, where its log does not say it.</summary>
internal static class RequestFaults
{
    public static ServingFault Cancelled { get; } = new(ServingError.Cancelled, "The request was cancelled.");

    public static ServingFault ClientGone { get; } = new(ServingError.Cancelled, "The client closed the connection.");

    public static ServingFault Gap { get; } = new(ServingError.Internal, "The engine's output has a gap or a repetition; the request can be sent again.");

    public static ServingFault Internal { get; } = new(ServingError.Internal, "The gateway failed; the request can be sent again.");

    public static ServingFault QueueAway { get; } = new(ServingError.StoreUnavailable, "the queue cannot be reached; the request is kept and submitted again");
}
