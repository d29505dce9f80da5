using System.Globalization;
using Microsoft.AspNetCore.Http;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.Access;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Following;
using Serverless.Gateway.Holding;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Promises;
using Serverless.Gateway.Streaming;
using Serverless.Gateway.Telemetry;
using Serverless.Gateway.Waiting;
using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.Gateway.Flow;

/// <summary>Requests by their id, for their owner, on any gateway: look, list, cancel, follow. A foreign id is none. Thread-safe.</summary>
internal sealed class RequestsFlow(
    Authenticator authenticator,
    RequestRecords records,
    LogReader reader,
    IRequestLog log,
    AnswerLoop answers,
    FlowEnd ending,
    Holds holds,
    GatewayIdentity gateway,
    QueueView queue,
    WaitNotice notices,
    ShutdownGate shutdown,
    GatewayMetrics metrics,
    ICatalogSource catalog,
    TimeProvider time)
{
    private const int DefaultLimit = 20;
    private const int MaxLimit = 100;

    /// <summary><c>GET /v1/requests/{id}</c>.</summary>
    public async Task GetAsync(HttpContext http)
    {
        var (owner, id) = Asked(http);
        var record = await FindAsync(owner, id, http.RequestAborted) ?? throw Unknown(id);
        await JsonAnswer.SendAsync(http, RequestObject.Encode(record, WaitOf(record)), http.RequestAborted);
    }

    /// <summary><c>DELETE /v1/requests/{id}</c>: cancels it, queued or running; what has ended stays as it is.</summary>
    public async Task CancelAsync(HttpContext http)
    {
        var (owner, id) = Asked(http);
        var record = await FindAsync(owner, id, http.RequestAborted) ?? throw Unknown(id);
        if (!record.HasEnded && await log.EndAsync(id, new RequestEvent.Cancelled("Its owner cancelled it."), http.RequestAborted))
        {
            record = record with { Status = RequestStatus.Cancelled, EndedAt = time.GetUtcNow() };
        }
        else if (!record.HasEnded)
        {
            record = await FindAsync(owner, id, http.RequestAborted) ?? throw Unknown(id); // it ended by itself meanwhile
        }

        await JsonAnswer.SendAsync(http, RequestObject.Encode(record), http.RequestAborted);
    }

    /// <summary><c>GET /v1/requests</c>: those that were promised by an id, newest first.</summary>
    public async Task ListAsync(HttpContext http)
    {
        var owner = authenticator.Authenticate(http.Request).Owner;
        var (after, limit) = ((string?)http.Request.Query["after"], ReadLimit(http.Request.Query["limit"]));
        var ids = await records.ListAsync(owner, after, limit + 1, http.RequestAborted);
        var page = new List<RequestRecord>();
        foreach (var id in ids.Take(limit))
        {
            var request = new RequestId(id);
            var record = await records.FindSummaryAsync(owner, request, http.RequestAborted) ?? await FindAsync(owner, request, http.RequestAborted);
            if (record is not null) page.Add(record with { Response = null });
        }

        await JsonAnswer.SendAsync(http, RequestObject.EncodeList(page, ids.Count > limit), http.RequestAborted);
    }

    /// <summary><c>GET /v1/requests/{id}/events</c>: its stream, after <c>Last-Event-ID</c> or <c>starting_after</c>. A client that may resume takes its request over to this gateway.</summary>
    public async Task FollowAsync(HttpContext http)
    {
        if (shutdown.IsStopping) throw new ServingException(ShutdownGate.Fault);

        var (owner, id) = Asked(http);
        var after = http.Request.Headers.TryGetValue("Last-Event-ID", out var last)
            ? EventId.Parse(last, "Last-Event-ID")
            : EventId.Parse(http.Request.Query["starting_after"], "starting_after");
        var state = await StateAsync(http, owner, id);
        metrics.Resumed(state.Kind);
        try
        {
            await answers.RunAsync(state, after, stream: true, http.RequestAborted);
        }
        catch (Exception e) when (e is IOException || http.RequestAborted.IsCancellationRequested)
        {
            state.Fault = new ServingFault(ServingError.Cancelled, "The client closed the connection.");
        }
        finally
        {
            await ending.LeaveAsync(state);
        }
    }

    private async Task<FlowState> StateAsync(HttpContext http, Owner owner, RequestId id)
    {
        var head = await log.ReadHeadAsync(id, http.RequestAborted);
        if (head is null || head.Owner.Scope != owner.Scope || ShapeCodec.Decode(id, head.Shape) is not { } shape)
        {
            if (await records.FindAsync(owner, id, http.RequestAborted) is null) throw Unknown(id);
            throw new ServingException(new ServingFault(ServingError.LogExpired, $"The events of request '{id}' are not kept any more; GET /v1/requests/{id} has its result."));
        }

        var preferences = Preferences.Read(http.Request.Headers);
        var state = new FlowState(http, id, shape.RequireApi(), time.GetTimestamp())
        {
            Model = shape.Model,
            Head = head,
            Shape = shape with { Resume = preferences.Resume ?? shape.Resume },
            Wait = new WaitEstimate(long.MaxValue, null, TimeSpan.Zero),
        };

        // Whoever watches a request that is bound to its first connection only watches.
        if (head is { Promise: Promise.Connection, Resumable: true, Ended: false } && await log.HoldAsync(id, Promise.Connection, gateway.Instance, http.RequestAborted) == HoldResult.Held)
        {
            holds.Take(id);
            state.Holds = true;
        }

        return state;
    }

    /// <summary>By its record, or by its log while that knows more; null: it is not there for this owner.</summary>
    private async ValueTask<RequestRecord?> FindAsync(Owner owner, RequestId id, CancellationToken cancellationToken)
    {
        var record = (await records.FindAsync(owner, id, cancellationToken))?.Record;
        if (record is { HasEnded: true }) return record;

        if (record is null)
        {
            var head = await log.ReadHeadAsync(id, cancellationToken);
            if (head is null || head.Owner.Scope != owner.Scope || ShapeCodec.Decode(id, head.Shape) is not { } shape) return null;
            return await reader.UpdateAsync(RequestRecord.Of(id, head, shape), cancellationToken);
        }

        return await reader.UpdateAsync(record, cancellationToken) ?? (time.GetUtcNow() < record.Deadline ? record : reader.Fail(record, Overdue(id)));
    }

    private (WaitEstimate Estimate, string Notice)? WaitOf(RequestRecord record)
    {
        if (record.Status != RequestStatus.Queued || catalog.Current.Find(new ModelName(record.Model)) is not { } model) return null;
        var place = new FairPlace(Lane.Interactive, record.Owner.Organization);
        return (queue.Estimate(model, place), notices.Describe(model, place));
    }

    private (Owner Owner, RequestId Id) Asked(HttpContext http)
    {
        var owner = authenticator.Authenticate(http.Request).Owner;
        return (owner, new RequestId((string)http.Request.RouteValues["id"]!));
    }

    private static int ReadLimit(string? text)
    {
        if (text is null) return DefaultLimit;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= MaxLimit) return limit;
        throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"'limit' must be an integer from 1 to {MaxLimit}; leave it out for {DefaultLimit}.", "limit"));
    }

    private static ServingException Unknown(RequestId id) => new(new ServingFault(ServingError.RequestNotFound, $"There is no request '{id}', or it is forgotten.", "id"));

    private static ServingFault Overdue(RequestId id) => new(ServingError.DeadlineExceeded, $"Request '{id}' did not end within its deadline, and nothing is kept of it; send it again.");
}
