using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>Requests by their id, for their owner, on any gateway: look, list, cancel, and a ticket to follow. A foreign id is none. Thread-safe.</summary>
internal sealed class RequestDirectory(RequestRecords records, RecordReader reader, HeldRequests held, TimeProvider time)
{
    /// <summary>So many records are read at a time for a list: they hold answers, of which a list tells nothing.</summary>
    private const int AtOnce = 4;

    /// <summary>By its record, or by its log while that knows more.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.RequestNotFound"/>: it is not there for this owner.</exception>
    public async ValueTask<RequestRecord> GetAsync(Owner owner, RequestId id, CancellationToken cancellationToken) =>
        await FindAsync(owner, id, cancellationToken) ?? throw Unknown(id);

    /// <summary>Cancels it, queued or running; what has ended stays as it is.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.RequestNotFound"/>.</exception>
    public async ValueTask<RequestRecord> CancelAsync(Owner owner, RequestId id, CancellationToken cancellationToken)
    {
        var record = await GetAsync(owner, id, cancellationToken);
        if (record.HasEnded) return record;

        return await reader.EndAsync(record, new RequestEvent.Cancelled("Its owner cancelled it."), cancellationToken)
            ? reader.End(record, RequestStatus.Cancelled)
            : await GetAsync(owner, id, cancellationToken); // it ended by itself meanwhile
    }

    /// <summary>Those that were promised by an id, newest first, without their answers.</summary>
    public async ValueTask<(IReadOnlyList<RequestRecord> Page, bool HasMore)> ListAsync(Owner owner, string? after, int limit, CancellationToken cancellationToken)
    {
        var ids = await records.ListAsync(owner, after, limit + 1, cancellationToken);
        var page = new List<RequestRecord>();
        foreach (var some in ids.Take(limit).Chunk(AtOnce))
        {
            var read = await Task.WhenAll(some.Select(id => FindForListAsync(owner, new RequestId(id), cancellationToken)));
            page.AddRange(read.OfType<RequestRecord>());
        }

        return (page, ids.Count > limit);
    }

    /// <summary>To follow it. A client that may come back for its request has it held here from now on; whoever watches one that is bound to its first connection only watches.</summary>
    /// <param name="owner">Who asks.</param>
    /// <param name="id">Which.</param>
    /// <param name="resume">How long it runs on after this one has left; null: as its first client said.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ServingException"><see cref="ServingError.RequestNotFound"/>; <see cref="ServingError.LogExpired"/>: only its result is kept.</exception>
    public async ValueTask<Ticket> FollowAsync(Owner owner, RequestId id, TimeSpan? resume, CancellationToken cancellationToken)
    {
        if (await reader.FindAsync(id, cancellationToken) is not { } log || log.Head.Owner.Scope != owner.Scope)
        {
            if (await records.FindAsync(owner, id, cancellationToken) is null) throw Unknown(id);
            throw new ServingException(new ServingFault(ServingError.LogExpired, $"The events of request '{id}' are not kept any more; GET /v1/requests/{id} has its result."));
        }

        var grace = resume ?? log.Shape.Resume;
        var holds = log.Head is { Promise: Promise.Connection, Resumable: true, Ended: false } && await held.TakeOverAsync(id, grace, log.Head.Deadline) == HoldResult.Held;
        return new Ticket { Id = id, Head = log.Head, Shape = log.Shape with { Resume = grace }, Holds = holds };
    }

    private async Task<RequestRecord?> FindForListAsync(Owner owner, RequestId id, CancellationToken cancellationToken) =>
        await records.FindSummaryAsync(owner, id, cancellationToken) ?? (await FindAsync(owner, id, cancellationToken) is { } record ? record with { Response = null } : null);

    private async ValueTask<RequestRecord?> FindAsync(Owner owner, RequestId id, CancellationToken cancellationToken)
    {
        var record = (await records.FindAsync(owner, id, cancellationToken))?.Record;
        if (record is { HasEnded: true }) return record;

        if (record is null)
        {
            if (await reader.FindAsync(id, cancellationToken) is not { } log || log.Head.Owner.Scope != owner.Scope) return null;
            return await reader.UpdateAsync(RequestRecord.Of(id, log.Head, log.Shape), cancellationToken);
        }

        return await reader.UpdateAsync(record, cancellationToken) ?? (time.GetUtcNow() < record.Deadline ? record : reader.Fail(record, Overdue(id)));
    }

    private static ServingException Unknown(RequestId id) => new(new ServingFault(ServingError.RequestNotFound, $"There is no request '{id}', or it is forgotten.", "id"));

    private static ServingFault Overdue(RequestId id) => new(ServingError.DeadlineExceeded, $"Request '{id}' did not end within its deadline, and nothing is kept of it; send it again.");
}
