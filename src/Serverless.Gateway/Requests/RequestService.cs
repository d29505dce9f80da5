using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Telemetry;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// The way of a request through the gateway, whoever asks: it knows no connection, header or status. Thread-safe; one call a request.
/// <code>
///   Call ──▶ (a) admit ──▶ open its log ──▶ (b) enqueue ──▶ Ticket ──▶ (g) follow the log ──▶ steps
///               │ refused      │                │ full, no queue   │ finished, failed, cancelled
///               │              │ its key is     │ wants an id      │ takes too long: an id takes over
///               ▼              ▼ another's      ▼                  ▼
///             fault      that one's ticket    ById              whoever leaves early ends the request too, unless it was handed on
///                        or its answer
/// </code>
/// </summary>
internal sealed class RequestService(
    Admitter admitter,
    Submitter submitter,
    IdempotentCalls idempotent,
    PromisedRequests promises,
    RequestFollower follower,
    ShutdownGate shutdown,
    GatewayMetrics metrics,
    IOptions<PromiseOptions> options)
{
    /// <summary>The longest that a shape may be: it lies in the head of the request's log, in a store that all share.</summary>
    private const int LongestShape = 256 * 1024;

    /// <summary>Takes a call: what it returns is to be followed, or answers it.</summary>
    /// <exception cref="ServingException">It is refused: nothing runs.</exception>
    public async Task<Submitted> SubmitAsync(Call call, CancellationToken cancellationToken)
    {
        var model = GatewayMetrics.OtherModel;
        try
        {
            if (shutdown.IsStopping) throw new ServingException(ShutdownGate.Fault);

            var admitted = await admitter.AdmitAsync(call, cancellationToken); // (a)
            model = admitted.Shape.Model;
            var ticket = TicketOf(call, admitted);
            return IsPromisedAtOnce(call) && call.IdempotencyKey is null
                ? await PromiseAsync(call, ticket, admitted, cancellationToken)
                : await OpenAndSubmitAsync(call, ticket, admitted, cancellationToken);
        }
        catch (ServingException e)
        {
            metrics.Refused(call.Endpoint, model, e.Fault.Error);
            throw;
        }
    }

    /// <summary>Step (g): what happens to a request, up to its end or until the caller leaves, which it tells by <see cref="Submitter.LeaveAsync"/>.</summary>
    public IAsyncEnumerable<FollowStep> FollowAsync(Ticket ticket, CancellationToken cancellationToken) => follower.FollowAsync(ticket, cancellationToken); // (g)

    /// <summary>The caller has its answer, or will not have it from here: a request that it held and nobody else answers for is ended.</summary>
    public Task LeaveAsync(Ticket ticket) => submitter.LeaveAsync(ticket);

    private Ticket TicketOf(Call call, Admitted admitted)
    {
        var shape = admitted.Shape;
        var encoded = ShapeCodec.Encode(shape);
        if (encoded.Length > LongestShape)
        {
            throw new ServingException(new ServingFault(
                ServingError.InvalidRequest, $"'echo' would repeat {encoded.Length} bytes of prompts; the limit is {LongestShape}. Leave it out: you have the prompts.", "echo"));
        }

        var promiseAfter = PromiseAfter(call, admitted);

        // Twins of a key follow one log, each as long as it likes: it is kept to its deadline though one of them has read its end.
        var isKept = shape.Resume > TimeSpan.Zero || shape.Keyed || promiseAfter is not null;
        var request = admitted.Request with { Holder = submitter.Holder, Resumable = isKept, Shape = encoded };
        return new Ticket
        {
            Id = request.Id,
            Head = LogHead.Of(request),
            Shape = shape,
            Request = request,
            Submission = submitter.NewSubmission(),
            PromoteAt = request.AcceptedAt + promiseAfter,
            Callback = call.Callback,
            ArrivedAt = call.ArrivedAt,
        };
    }

    /// <summary>After how long an id takes over. One is not asked for where its answer could not be kept, nor given where nobody asked for it.</summary>
    private TimeSpan? PromiseAfter(Call call, Admitted admitted)
    {
        if (call.IsKept) return null;
        var after = call.PromiseAfter ?? (admitted.Shape.Stream ? null : options.Value.LongestSynchronous);
        if (after is null || promises.WhyNotKept(admitted) is not { } fault) return after;
        return call.PromiseAfter is null ? null : throw new ServingException(fault);
    }

    private async Task<Submitted> OpenAndSubmitAsync(Call call, Ticket ticket, Admitted admitted, CancellationToken cancellationToken)
    {
        var current = ticket;
        if (call.IdempotencyKey is null) submitter.RequireReachable(ticket, admitted.Model);
        try
        {
            // The log is opened first: whoever takes the request from the queue finds it, and so does whoever finds its key taken.
            await submitter.OpenAsync(ticket, cancellationToken);
            if (call.IdempotencyKey is { } key && await idempotent.ClaimAsync(key, ticket, cancellationToken) is { } known)
            {
                metrics.Repeated(call.Endpoint);
                if (known is not Submitted.Taken joined) return known;

                current = joined.Ticket;
                return IsPromisedAtOnce(call) && await promises.IsByIdAsync(current, cancellationToken) ? HandOn(current) : known;
            }

            if (call.IdempotencyKey is not null) submitter.RequireReachable(ticket, admitted.Model); // only now: one that joins another waits for nothing of its own
            if (!IsPromisedAtOnce(call))
            {
                await submitter.SubmitAsync(ticket, cancellationToken); // (b)
                return new Submitted.Taken(ticket);
            }

            return await promises.IsByIdAsync(ticket, cancellationToken) ? HandOn(ticket) : throw NotKept(); // (b)
        }
        catch (Exception e)
        {
            if (e is ServingException && call.IdempotencyKey is { } key && current == ticket) await idempotent.ReleaseAsync(key, ticket.Request!); // nothing was accepted under it
            current.Refused = current == ticket;
            current.Fault = (e as ServingException)?.Fault ?? (cancellationToken.IsCancellationRequested ? RequestFaults.ClientGone : RequestFaults.Internal);
            await submitter.LeaveAsync(current);
            throw;
        }
    }

    /// <summary>Under an id from the start: its message is on disk before the id is given.</summary>
    private async Task<Submitted> PromiseAsync(Call call, Ticket ticket, Admitted admitted, CancellationToken cancellationToken)
    {
        if (call.Origin is null) submitter.RequireReachable(ticket, admitted.Model);
        await promises.PromiseAsync(ticket.Request!, call, cancellationToken); // (b)
        return HandOn(ticket);
    }

    private Submitted.ById HandOn(Ticket ticket)
    {
        ticket.HandedOn = true;
        metrics.Promised(ticket.Shape.Endpoint, ticket.Shape.Model);
        return new Submitted.ById(ticket);
    }

    private static bool IsPromisedAtOnce(Call call) => call.PromiseAfter == TimeSpan.Zero;

    private static ServingException NotKept() =>
        new(new ServingFault(ServingError.StoreUnavailable, "What must be kept for an id cannot be kept now, so none is given and nothing runs; send the request again."));
}
