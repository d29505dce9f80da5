using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Promises;

/// <summary>What a request's log says of it, now. Thread-safe.</summary>
internal sealed class LogReader(IRequestLog log, TimeProvider time)
{
    /// <summary>The record as the log knows it: where the request is, and, if it has ended, with its end. Null where the log knows nothing of it.</summary>
    public async ValueTask<RequestRecord?> UpdateAsync(RequestRecord record, CancellationToken cancellationToken)
    {
        var head = await log.ReadHeadAsync(new RequestId(record.Id), cancellationToken);
        if (head is null) return null;
        if (!head.Ended) return record with { Status = head.Attempts > 0 ? RequestStatus.InProgress : RequestStatus.Queued };

        try
        {
            return await ReadEndAsync(record, cancellationToken);
        }
        catch (ServingException e) when (e.Fault.Error == ServingError.LogExpired)
        {
            return null;
        }
    }

    /// <summary>With its end, rendered.</summary>
    private async ValueTask<RequestRecord?> ReadEndAsync(RequestRecord record, CancellationToken cancellationToken)
    {
        var id = new RequestId(record.Id);
        if (ShapeCodec.Decode(id, record.Shape) is not { } shape) return Fail(record, new ServingFault(ServingError.Internal, "How this request's answer is rendered is not known any more; send it again."));

        var output = new WholeOutput(shape);
        await foreach (var logged in log.FollowAsync(id, 0, cancellationToken))
        {
            switch (logged.Event)
            {
                case RequestEvent.Chunk chunk when !output.TryAppend(logged.Sequence, chunk):
                    return Fail(record, new ServingFault(ServingError.Internal, "The engine's output has a gap or a repetition; the request can be sent again."));
                case RequestEvent.Finished finished:
                    return End(record, RequestStatus.Completed) with { Response = EncodedJson.Element(output.Encode(finished.Usage)) };
                case RequestEvent.Failed failed:
                    return Fail(record, failed.Fault);
                case RequestEvent.Cancelled:
                    return End(record, RequestStatus.Cancelled);
                default:
                    break;
            }
        }

        return null;
    }

    /// <summary>Ended with a failure.</summary>
    public RequestRecord Fail(RequestRecord record, ServingFault fault) => End(record, RequestStatus.Failed) with { Error = EncodedJson.Error(fault) };

    private RequestRecord End(RequestRecord record, RequestStatus status) => record with { Status = status, EndedAt = time.GetUtcNow() };
}
