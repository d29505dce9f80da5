using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Outbound;
using Serverless.Gateway.Requests;
using Serverless.Requests;

namespace Serverless.Gateway.Inbound;

/// <summary>The records of requests that events asked for. Thread-safe.</summary>
internal sealed class EventRecords(RequestRecords records, RecordReader reader, ResultEvents results, EventReplies replies, TimeProvider time)
{
    /// <summary>What was asked before under the event's name; null: nothing.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.IdempotencyConflict"/>: something else was.</exception>
    public async ValueTask<RequestRecord?> FindAsync(AskedByEvent asked, CancellationToken cancellationToken)
    {
        RequestRecord? known = null;
        foreach (var endpoint in ApiEndpoint.All)
        {
            if (await FindAsync(asked.Owner, asked.IdAt(endpoint), cancellationToken) is not { } found) continue;
            if (found.Refused) return found; // whatever it asked for: its name stands for that
            if (endpoint != asked.Payload.Endpoint || found.Origin?.Message is not null || (found.Origin?.Fingerprint is { } before && before != asked.Origin.Fingerprint)) throw Conflict(asked);
            known = found;
        }

        return known;
    }

    public async ValueTask<RequestRecord?> FindAsync(Owner owner, RequestId id, CancellationToken cancellationToken) => (await records.FindAsync(owner, id, cancellationToken))?.Record;

    /// <summary>Whether what was taken runs or has ended; false: it is not known whether anybody has it.</summary>
    public async ValueTask<bool> IsHeldAsync(RequestRecord taken, CancellationToken cancellationToken) => await reader.UpdateAsync(taken, cancellationToken) is { Status: not RequestStatus.Queued };

    /// <summary>Nothing was taken: who sent it finds a record that says so, and is told.</summary>
    public async ValueTask<BrokerVerdict> RefuseAsync(Owner owner, RequestId id, ApiEndpoint endpoint, EventOrigin origin, ServingFault fault, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var record = new RequestRecord { Id = id.Value, Endpoint = endpoint.Name, Model = "", Owner = owner, CreatedAt = now, Deadline = now, Origin = origin, Refused = true };
        await reader.EndAsync(record, new RequestEvent.Failed(fault), cancellationToken); // of a delivery before, which the queue refused
        var failed = reader.Fail(record, fault);
        return await records.TryCreateAsync(failed, cancellationToken) ? await AnswerAsync(failed, cancellationToken) : BrokerVerdict.Later(fault);
    }

    /// <summary>Of an event whose request has ended. Who sent one that was refused is told before it is put away.</summary>
    public async ValueTask<BrokerVerdict> AnswerAsync(RequestRecord ended, CancellationToken cancellationToken)
    {
        if (!ended.Refused) return BrokerVerdict.Done;

        var fault = new ServingFault(ended.FailedAs?.Error ?? ServingError.InvalidRequest, Of(ended, "message") ?? "It was refused.", Of(ended, "param"), Of(ended, "code"));
        if (!ended.Published && !await results.PublishAsync(ended, cancellationToken)) return BrokerVerdict.Later(fault);

        if (ended.Origin?.ReplyTo is { } topic) await replies.PublishAsync(topic, ended, withResponse: true, cancellationToken);
        return BrokerVerdict.Refused(fault);
    }

    private static string? Of(RequestRecord ended, string name) => ended.Error is { } error && error.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static ServingException Conflict(AskedByEvent asked) => new(new ServingFault(
        ServingError.IdempotencyConflict,
        $"Event '{asked.Origin.Id}' of source '{asked.Origin.Source}' came before with another body or endpoint; use an id once for one request, and the same body when you send it again. The first one's result is not touched.",
        "id"));
}
