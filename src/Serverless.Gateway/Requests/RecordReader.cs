using System.Security.Cryptography;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>What a request's log says of it, now. Thread-safe.</summary>
internal sealed class RecordReader(IRequestLog log, TimeProvider time)
{
    /// <summary>Null: there is no such log, or none that a gateway opened.</summary>
    public async ValueTask<OpenLog?> FindAsync(RequestId id, CancellationToken cancellationToken) =>
        await log.ReadHeadAsync(id, cancellationToken) is { } head && ShapeCodec.Decode(id, head.Shape) is { } shape ? new OpenLog(head, shape) : null;

    /// <summary>The record as the log knows it: where the request is, and, if it has ended, with its end. Null where the log knows nothing of it.</summary>
    public async ValueTask<RequestRecord?> UpdateAsync(RequestRecord record, CancellationToken cancellationToken)
    {
        var head = await log.ReadHeadAsync(new RequestId(record.Id), cancellationToken);
        if (head is null) return null;
        if (!head.Ended) return record with { Status = head.Attempts > 0 ? RequestStatus.InProgress : RequestStatus.Queued };

        try
        {
            return await ReadEndAsync(record, head.EndedAt, cancellationToken);
        }
        catch (ServingException e) when (e.Fault.Error == ServingError.LogExpired)
        {
            return null;
        }
    }

    /// <summary>Ends it in its log, if it has not ended. False: it had.</summary>
    public ValueTask<bool> EndAsync(RequestRecord record, RequestEvent end, CancellationToken cancellationToken) => log.EndAsync(new RequestId(record.Id), end, cancellationToken);

    /// <summary>With its end, rendered.</summary>
    private async ValueTask<RequestRecord?> ReadEndAsync(RequestRecord record, DateTimeOffset? at, CancellationToken cancellationToken)
    {
        var id = new RequestId(record.Id);
        if (ShapeCodec.Decode(id, record.Shape) is not { } shape) return Fail(record, new ServingFault(ServingError.Internal, "How this request's answer is rendered is not known any more; send it again."), at);

        var output = new WholeOutput(shape);
        await foreach (var logged in log.FollowAsync(id, 0, cancellationToken))
        {
            switch (logged.Event)
            {
                case RequestEvent.Chunk chunk when !output.TryAppend(logged.Sequence, chunk):
                    return Fail(record, RequestFaults.Gap, at);
                case RequestEvent.Finished finished:
                    return End(record, RequestStatus.Completed, at) with { Response = JsonElement.Parse(output.Encode(finished.Usage).Span) };
                case RequestEvent.Failed failed:
                    return Fail(record, failed.Fault, at);
                case RequestEvent.Cancelled:
                    return End(record, RequestStatus.Cancelled, at);
                default:
                    break;
            }
        }

        return null;
    }

    /// <summary>Ended with a failure.</summary>
    public RequestRecord Fail(RequestRecord record, ServingFault fault, DateTimeOffset? at = null) =>
        End(record, RequestStatus.Failed, at) with { Error = JsonElement.Parse(ErrorBody.Encode(fault)).GetProperty("error") };

    /// <summary>Ended so, then; null: now.</summary>
    public RequestRecord End(RequestRecord record, RequestStatus status, DateTimeOffset? at = null) => record with { Status = status, EndedAt = at ?? time.GetUtcNow(), Proof = RandomNumberGenerator.GetHexString(32, lowercase: true) };
}

/// <summary>A log as its head tells it.</summary>
/// <param name="Head">The head.</param>
/// <param name="Shape">How its answer is rendered.</param>
internal readonly record struct OpenLog(LogHead Head, AnswerShape Shape);
