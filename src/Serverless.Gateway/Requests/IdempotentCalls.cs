using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Calls with an idempotency key. The first one runs; whoever comes with the same key and body joins it, on any gateway, or gets its result. One that came to nothing that
/// a client should keep (cancelled, or failed in a way that passes) is run again by whoever asks next. Thread-safe.
/// </summary>
internal sealed partial class IdempotentCalls(
    IdempotencyKeys keys,
    RequestRecords records,
    RecordReader reader,
    HeldRequests held,
    Submitter submitter,
    IOptions<PromiseOptions> options,
    TimeProvider time,
    ILogger<IdempotentCalls> logger)
{
    private static readonly RequestEvent Joining = new RequestEvent.Cancelled("Its idempotency key was another request's.");

    /// <summary>Claims the key for a request whose log is open. Null: it is this request's; else the ticket or the answer of the request that has it, in place of this one's.</summary>
    /// <exception cref="ServingException">The key was used for another body, or a store cannot be reached.</exception>
    public async Task<Submitted?> ClaimAsync(string key, Ticket own, CancellationToken cancellationToken)
    {
        var keep = Keep(own);
        while (true)
        {
            var claim = await keys.ClaimAsync(key, own.Request!, keep, cancellationToken);
            if (claim.Taken) return null;
            if (await TryUseAsync(claim.Request, own, cancellationToken) is { } known) return known;
            if (await keys.ReplaceAsync(claim, own.Request!, keep, cancellationToken)) return null;
        }
    }

    /// <summary>The key stands for nothing any more: the request was refused. As well as can be.</summary>
    public async Task ReleaseAsync(string key, InferenceRequest request)
    {
        try
        {
            await keys.ReleaseAsync(key, request, CancellationToken.None);
        }
        catch (ServingException e)
        {
            LogNotReleased(request.Id, e.Message);
        }
    }

    /// <summary>The result of the request that has the key, or its log to follow; null: there is neither, or none worth keeping.</summary>
    private async Task<Submitted?> TryUseAsync(RequestId id, Ticket own, CancellationToken cancellationToken)
    {
        var record = (await records.FindAsync(own.Request!.Owner, id, cancellationToken))?.Record;
        if (record is { HasEnded: true })
        {
            if (!record.IsFinal) return null;
            if (!own.Shape.Stream || record.Error is not null)
            {
                await held.DropAsync(own, Joining);
                return new Submitted.Before(record);
            }
        }

        if (await reader.FindAsync(id, cancellationToken) is not { } log) return null;
        if (log.Head.Ended && (await reader.UpdateAsync(RequestRecord.Of(id, log.Head, log.Shape), cancellationToken) is not { IsFinal: true })) return null;

        return await JoinAsync(id, log, own) is { } joined ? new Submitted.Taken(joined) : null;
    }

    private async Task<Ticket?> JoinAsync(RequestId id, OpenLog log, Ticket own)
    {
        var hold = HoldResult.Ended;
        if (log.Head is { Ended: false, Promise: Promise.Connection })
        {
            hold = await held.TakeOverAsync(id, own.Shape.Resume, log.Head.Deadline);
            if (hold == HoldResult.Unknown) return null;
        }

        await held.DropAsync(own, Joining);
        var submission = hold == HoldResult.Held ? submitter.NewSubmission() : null;
        submission?.Joined(time.GetUtcNow());
        return new Ticket
        {
            Id = id,
            Head = log.Head with { Holder = held.Holder },
            Shape = log.Shape with { Stream = own.Shape.Stream, Resume = own.Shape.Resume },
            Request = Admitter.As(own.Request!, id) with { Deadline = log.Head.Deadline, Resumable = log.Head.Resumable, Shape = log.Head.Shape },
            Submission = submission,
            PromoteAt = own.PromoteAt,
            Holds = hold == HoldResult.Held,
        };
    }

    /// <summary>A streamed answer is replayed from its log, so its key lives no longer than that.</summary>
    private TimeSpan Keep(Ticket ticket)
    {
        if (!ticket.Shape.Stream) return options.Value.KeepKeys;

        var left = ticket.Head.Deadline - time.GetUtcNow();
        return left > TimeSpan.FromSeconds(1) ? left : TimeSpan.FromSeconds(1);
    }

    [LoggerMessage(LogLevel.Warning, "{Request} was refused, but its idempotency key could not be given back; under the key it is refused until that expires or the request is found ended: {Reason}")]
    private partial void LogNotReleased(RequestId request, string reason);
}
