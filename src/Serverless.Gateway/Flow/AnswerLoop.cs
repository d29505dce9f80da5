using System.Globalization;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.Following;
using Serverless.Gateway.Holding;
using Serverless.Gateway.Promises;
using Serverless.Gateway.Streaming;
using Serverless.Gateway.Telemetry;
using Serverless.Gateway.Waiting;
using Serverless.Requests;

namespace Serverless.Gateway.Flow;

/// <summary>
/// Step (g): reads a request's log to its end and renders it to one connection. While nothing comes, the clock ticks: the deadline and the end of a shutdown, what must be
/// submitted again, the moment when an id takes over the promise, and a word to the client. Thread-safe.
/// </summary>
internal sealed class AnswerLoop(
    LogFollower follower,
    Submitter submitter,
    Promiser promiser,
    WaitNotice notices,
    ShutdownGate shutdown,
    GatewayMetrics metrics,
    ICatalogSource catalog,
    IOptions<StreamingOptions> options,
    TimeProvider time)
{
    private static readonly TimeSpan PromotionRetry = TimeSpan.FromSeconds(5);

    /// <param name="state">What is answered.</param>
    /// <param name="after">The last part of the stream that the client has.</param>
    /// <param name="stream">Whether it is answered part by part.</param>
    /// <param name="clientGone">Cancelled when the connection is.</param>
    public async Task RunAsync(FlowState state, EventId after, bool stream, CancellationToken clientGone)
    {
        using var answer = AnswerFor(state, after, stream);
        await foreach (var step in follower.FollowAsync(state.Id, options.Value.FirstNotice, options.Value.NoticeInterval, clientGone))
        {
            switch (step.Kind)
            {
                case FollowKind.Event:
                    state.Submission?.Heard(step.Logged.Event, time.GetUtcNow());
                    if (!await TakeAsync(step.Logged, answer, state, clientGone)) return;
                    break;

                case FollowKind.Idle:
                    await answer.FlushAsync(clientGone);
                    break;

                case FollowKind.Gone when state.Submission is null:
                    await FailAsync(answer, state, step.Fault!, clientGone);
                    return;

                case FollowKind.Gone:
                    state.Submission.Lost();
                    break;

                default:
                    if (!await TickAsync(step.Fault, answer, state, clientGone)) return;
                    if (await SubmitDueAsync(state, clientGone) is not { } refusal) break;
                    await FailAsync(answer, state, refusal, clientGone);
                    return;
            }
        }
    }

    /// <summary>Renders one event; false once the request has ended.</summary>
    private async ValueTask<bool> TakeAsync(LoggedEvent logged, IAnswer answer, FlowState state, CancellationToken cancellationToken)
    {
        switch (logged.Event)
        {
            case RequestEvent.Chunk chunk:
                if (state.FirstOutputAt == 0) NoteFirstOutput(state);
                if (answer.TryAppend(logged.Sequence, chunk)) return true;
                await FailAsync(answer, state, new ServingFault(ServingError.Internal, "The engine's output has a gap or a repetition; the request can be sent again."), cancellationToken);
                return false;

            case RequestEvent.Finished finished:
                state.Ended = true;
                await answer.FinishAsync(logged.Sequence, finished.Usage, cancellationToken);
                metrics.Finished(state.Kind, state.Model, finished.Usage, state.FirstOutputAt == 0 ? TimeSpan.Zero : time.GetElapsedTime(state.FirstOutputAt));
                return false;

            case RequestEvent.Failed failed:
                state.Ended = true;
                await FailAsync(answer, state, failed.Fault, cancellationToken);
                return false;

            case RequestEvent.Cancelled:
                state.Ended = true;
                await FailAsync(answer, state, new ServingFault(ServingError.Cancelled, "The request was cancelled."), cancellationToken);
                return false;

            case RequestEvent.Started:
                state.Begun = true;
                return true;

            default:
                return true;
        }
    }

    /// <summary>False once this connection is done.</summary>
    private async ValueTask<bool> TickAsync(ServingFault? outage, IAnswer answer, FlowState state, CancellationToken clientGone)
    {
        if (Overdue(state) is { } fault)
        {
            await FailAsync(answer, state, fault, clientGone);
            return false;
        }

        if (state.PromoteAt is { } at)
        {
            if (answer.HasBegun)
            {
                state.PromoteAt = null; // it streams already
            }
            else if (time.GetUtcNow() < at)
            {
                return true; // a word to the client would be the beginning of an answer
            }
            else if (await PromoteAsync(state, clientGone))
            {
                return false;
            }
        }

        await answer.NoticeAsync(outage?.Message, clientGone);
        return true;
    }

    /// <summary>Gives the client an id instead of the answer; false: it goes on here.</summary>
    private async ValueTask<bool> PromoteAsync(FlowState state, CancellationToken clientGone)
    {
        if (state.Request is { } request && state.Holds)
        {
            switch (await promiser.PromoteAsync(request, state.Head!, clientGone))
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

        state.Handed = true;
        metrics.Promised(state.Kind, state.Model);
        await PromisedAnswer.SendAsync(state, clientGone);
        return true;
    }

    /// <summary>Submits the request again where it is due, without waiting for the queue; a refusal, where that is the answer.</summary>
    private async ValueTask<ServingFault?> SubmitDueAsync(FlowState state, CancellationToken cancellationToken)
    {
        if (state.Submission is not { } submission) return null;

        if (state.Submitting is { IsCompleted: true } done)
        {
            state.Submitting = null;
            if (submission.Submitted(await done, time.GetUtcNow()) is { } refusal) return refusal;
        }

        if (state.Submitting is null && submission.IsDue(time.GetUtcNow())) state.Submitting = submitter.ResubmitAsync(state.Request!, state.Head!, cancellationToken);
        return null;
    }

    private static async ValueTask FailAsync(IAnswer answer, FlowState state, ServingFault fault, CancellationToken cancellationToken)
    {
        state.Fault = fault;
        await answer.FailAsync(fault, cancellationToken);
    }

    private ServingFault? Overdue(FlowState state)
    {
        if (shutdown.Drained.IsCancellationRequested)
        {
            // What may be taken up elsewhere is not ended: its client comes back to another gateway.
            state.Handed = state.Head is { Promise: Promise.Id } or { Resumable: true };
            return ShutdownGate.Fault;
        }

        // The dispatcher normally ends an overdue request first.
        if (state.Head is not { } head || time.GetUtcNow() < head.Deadline + options.Value.NoticeInterval) return null;

        var allowed = head.Deadline - (state.Request?.AcceptedAt ?? DateTimeOffset.FromUnixTimeSeconds(state.Shape!.Created));
        return new ServingFault(
            ServingError.DeadlineExceeded,
            string.Create(CultureInfo.InvariantCulture, $"The request did not end within its {allowed.TotalSeconds:0.#} s; allow more with the header 'X-Request-Timeout', or ask for fewer tokens."));
    }

    private void NoteFirstOutput(FlowState state)
    {
        state.FirstOutputAt = time.GetTimestamp();
        if (!state.Waiting) return; // whoever comes back does not measure the wait

        metrics.WaitEnded(state.Model);
        metrics.FirstOutput(state.Kind, state.Model, time.GetElapsedTime(state.ArrivedAt, state.FirstOutputAt));
    }

    private IAnswer AnswerFor(FlowState state, EventId after, bool stream)
    {
        var shape = state.Shape!;
        if (!stream) return new WholeAnswer(state.Http, shape);

        var model = catalog.Current.Find(new ModelName(shape.Model));
        var place = state.Request is { } request
            ? new FairPlace(request.Lane, request.Owner.Organization) { OwnTokens = request.MaxTotalTokens, AtMost = state.Wait.TokensAhead }
            : new FairPlace(Lane.Interactive);
        return new StreamedAnswer(state.Http, shape, after, () => model is null ? "its model left the catalogue" : notices.Describe(model, place), time, options.Value.MaxSilence);
    }
}
