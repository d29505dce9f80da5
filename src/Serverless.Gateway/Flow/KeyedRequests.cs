using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Holding;
using Serverless.Gateway.Idempotency;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Promises;
using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.Gateway.Flow;

/// <summary>
/// Requests with an idempotency key. The first one runs; whoever comes with the same key and body joins it, on any gateway, or gets its result. One that came to nothing that
/// a client should keep (cancelled, or failed in a way that passes) is run again by whoever asks next. Thread-safe.
/// </summary>
internal sealed partial class KeyedRequests(
    IdempotencyKeys keys,
    RequestRecords records,
    LogReader reader,
    IRequestLog log,
    Submitter submitter,
    Holds holds,
    GatewayIdentity gateway,
    FlowEnd ending,
    IOptions<PromiseOptions> options,
    TimeProvider time,
    ILogger<KeyedRequests> logger)
{
    private static readonly RequestEvent Joining = new RequestEvent.Cancelled("Its idempotency key was another request's.");

    /// <summary>Claims the key for a request whose log is open.</summary>
    /// <exception cref="ServingException">The key was used for another body, or a store cannot be reached.</exception>
    public async Task<KeyOutcome> ClaimAsync(FlowState state, CancellationToken cancellationToken)
    {
        var (key, own, keep) = (state.IdempotencyKey!, state.Request!, Keep(state));
        while (true)
        {
            var claim = await keys.ClaimAsync(key, own, keep, cancellationToken);
            if (claim.Taken) return KeyOutcome.Mine;
            if (await TryUseAsync(claim.Request, state, cancellationToken) is { } outcome) return outcome;
            if (await keys.ReplaceAsync(claim, own, keep, cancellationToken)) return KeyOutcome.Mine;
        }
    }

    /// <summary>The key stands for nothing any more: the request was refused. As well as can be.</summary>
    public async Task ReleaseAsync(FlowState state)
    {
        try
        {
            await keys.ReleaseAsync(state.IdempotencyKey!, state.Request!, CancellationToken.None);
        }
        catch (ServingException e)
        {
            LogNotReleased(state.Id, e.Message);
        }
    }

    /// <summary>Keeps a whole answer for whoever asks again after its log is gone. As well as can be: it was given.</summary>
    public async Task RememberAsync(FlowState state, CancellationToken cancellationToken)
    {
        if (state.Shape!.Stream) return;

        try
        {
            var record = RequestRecord.Of(state.Id, state.Head!, state.Shape);
            if (await reader.UpdateAsync(record, cancellationToken) is { HasEnded: true } ended) await records.CreateAsync(ended with { Published = true }, cancellationToken);
        }
        catch (ServingException e)
        {
            LogNotRemembered(state.Id, e.Message);
        }
    }

    /// <summary>The result of the request that has the key, or its log to follow; null: there is neither, or none worth keeping.</summary>
    private async Task<KeyOutcome?> TryUseAsync(RequestId id, FlowState state, CancellationToken cancellationToken)
    {
        var record = (await records.FindAsync(state.Request!.Owner, id, cancellationToken))?.Record;
        if (record is { HasEnded: true })
        {
            if (!IsFinal(record)) return null;
            if (!state.Shape!.Stream || record.Error is not null) return await ReplayAsync(record, state, cancellationToken);
        }

        var head = await log.ReadHeadAsync(id, cancellationToken);
        if (head is null || ShapeCodec.Decode(id, head.Shape) is not { } shape) return null;
        if (head.Ended && (await reader.UpdateAsync(RequestRecord.Of(id, head, shape), cancellationToken) is not { } end || !IsFinal(end))) return null;

        return await TryJoinAsync(id, head, shape, state, cancellationToken) ? KeyOutcome.Joined : null;
    }

    private async Task<bool> TryJoinAsync(RequestId id, LogHead head, AnswerShape shape, FlowState state, CancellationToken cancellationToken)
    {
        var hold = HoldResult.Ended;
        if (!head.Ended && head.Promise == Promise.Connection)
        {
            hold = await log.HoldAsync(id, Promise.Connection, gateway.Instance, cancellationToken);
            if (hold == HoldResult.Unknown) return false;
        }

        await LeaveOwnAsync(state);
        state.Id = id;
        state.Head = head with { Holder = gateway.Instance };
        state.Shape = shape with { Stream = state.Shape!.Stream, Resume = state.Shape.Resume };
        state.Request = Admitter.As(state.Request!, id) with { Deadline = head.Deadline, Resumable = head.Resumable, Shape = head.Shape };
        state.Http.Response.Headers["x-request-id"] = id.Value;
        if (hold != HoldResult.Held) return true;

        holds.Take(id, head.Holder);
        state.Holds = true;
        state.Submission = submitter.NewSubmission();
        state.Submission.Joined(time.GetUtcNow());
        return true;
    }

    private async Task<KeyOutcome> ReplayAsync(RequestRecord record, FlowState state, CancellationToken cancellationToken)
    {
        await LeaveOwnAsync(state);
        state.Id = new RequestId(record.Id);
        state.Http.Response.Headers["x-request-id"] = record.Id;
        if (record.Response is { } response) await JsonAnswer.SendAsync(state.Http, EncodedJson.Bytes(response), cancellationToken);
        else await StoredFault.SendAsync(state.Http, record.Error!.Value, cancellationToken);
        return KeyOutcome.Answered;
    }

    /// <summary>The request that was opened for this connection is not needed.</summary>
    private async Task LeaveOwnAsync(FlowState state)
    {
        holds.Drop(state.Id);
        state.Holds = false;
        await ending.EndAsync(state.Id, Joining);
    }

    /// <summary>A result that stays the same however often it is asked for.</summary>
    private static bool IsFinal(RequestRecord record) => record.Status switch
    {
        RequestStatus.Completed => true,
        RequestStatus.Failed => !StoredFault.MayPass(record.Error!.Value),
        _ => false,
    };

    /// <summary>A streamed answer is replayed from its log, so its key lives no longer than that.</summary>
    private TimeSpan Keep(FlowState state)
    {
        if (!state.Shape!.Stream) return options.Value.KeepKeys;

        var left = state.Request!.Deadline - time.GetUtcNow();
        return left > TimeSpan.FromSeconds(1) ? left : TimeSpan.FromSeconds(1);
    }

    [LoggerMessage(LogLevel.Warning, "{Request} was refused, but its idempotency key could not be given back; under the key it is refused until that expires or the request is found ended: {Reason}")]
    private partial void LogNotReleased(RequestId request, string reason);

    [LoggerMessage(LogLevel.Warning, "The answer of {Request} could not be kept under its idempotency key; it is replayed only while its log is kept: {Reason}")]
    private partial void LogNotRemembered(RequestId request, string reason);
}
