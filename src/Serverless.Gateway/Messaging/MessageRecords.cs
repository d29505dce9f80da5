using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Requests;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;

namespace Serverless.Gateway.Messaging;

/// <summary>The records of requests that came as messages: they hold who is told. Thread-safe.</summary>
internal sealed class MessageRecords(RequestRecords records, RecordReader reader, IOptions<MassTransitOptions> options)
{
    /// <summary>Stands in records for where it came from.</summary>
    public const string Source = "/masstransit";

    /// <summary>Their owner's key: by it they are known without a look.</summary>
    public const string Key = "messages";

    /// <summary>So many may wait for one inference; one more takes the place of the one that asked first.</summary>
    private const int MostReplies = 16;

    public Owner Owner { get; } = new(options.Value.Organization, options.Value.Team, Key);

    public ValueTask<StoredRecord?> FindAsync(RequestId id, CancellationToken cancellationToken) => records.FindAsync(Owner, id, cancellationToken);

    /// <summary>Notes in the record of what was asked before that one more is to be told. With where it is now; null: there is none.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.IdempotencyConflict"/>: something else was asked under this name.</exception>
    public async Task<RequestRecord?> JoinAsync(AskedInference asked, MessageOrigin origin, CancellationToken cancellationToken)
    {
        foreach (var other in asked.IdsOfOtherEndpoints())
        {
            if (await FindAsync(other, cancellationToken) is not null) throw Conflict(asked);
        }

        while (await FindAsync(asked.Id, cancellationToken) is { } stored)
        {
            if (stored.Record.Origin is { } known && known.Message?.Fingerprint != origin.Fingerprint) throw Conflict(asked); // of an event, too
            if (stored.Record.HasEnded) return stored.Record;

            var joined = With(stored.Record, origin);
            if (!ReferenceEquals(joined, stored.Record) && !await records.ReplaceAsync(stored, joined, cancellationToken)) continue; // somebody else wrote meanwhile

            var now = await reader.UpdateAsync(joined, cancellationToken) ?? joined;
            return now.HasEnded ? joined with { Status = RequestStatus.InProgress } : now; // its end is being kept, and whoever keeps it tells of it
        }

        return null;
    }

    /// <summary>Saves that one was told. False: somebody else wrote meanwhile.</summary>
    public ValueTask<bool> ToldAsync(StoredRecord stored, MessageReply reply, CancellationToken cancellationToken)
    {
        var message = stored.Record.Origin!.Message!;
        var told = message with { Replies = [.. message.Replies.Select(one => one == reply ? one with { Sent = true } : one)] };
        return records.ReplaceAsync(stored, stored.Record with { Origin = stored.Record.Origin with { Message = told } }, cancellationToken);
    }

    /// <summary>Whether what was asked before under this id runs, has ended or was begun; null: it is not known whether anybody has it; false: there is none.</summary>
    public async Task<bool?> IsHeldAsync(RequestId id, CancellationToken cancellationToken)
    {
        if (await FindAsync(id, cancellationToken) is not { Record: var taken }) return false;
        return taken.HasEnded || await reader.UpdateAsync(taken, cancellationToken) is { Status: not RequestStatus.Queued } ? true : null;
    }

    /// <summary>Ends what was half taken.</summary>
    public async Task GiveUpAsync(RequestId id, ServingFault fault, CancellationToken cancellationToken)
    {
        if (await FindAsync(id, cancellationToken) is not { Record.HasEnded: false } stored) return;

        await reader.EndAsync(stored.Record, new RequestEvent.Failed(fault), cancellationToken);
        await records.ReplaceAsync(stored, reader.Fail(stored.Record, fault), cancellationToken); // where somebody else wrote, that stands
    }

    private static ServingException Conflict(AskedInference asked) => new(new ServingFault(
        ServingError.IdempotencyConflict, $"The name of this message, {asked.Name}, came before with another body or endpoint; use a name once for one inference, and the same body when you send it again.", "MessageId"));

    private static RequestRecord With(RequestRecord record, MessageOrigin origin)
    {
        var known = record.Origin?.Message?.Replies ?? [];
        var reply = origin.Replies[0];
        if (known.Any(one => one with { Sent = false } == reply)) return record;

        var message = (record.Origin?.Message ?? origin) with { Replies = [.. known.TakeLast(MostReplies - 1), reply] };
        return record with { Origin = (record.Origin ?? new EventOrigin(Source, "", null)) with { Message = message } };
    }
}
