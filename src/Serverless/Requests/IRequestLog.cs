using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>
/// Port: events come up through here. Per request a head and events numbered 1, 2, 3 … without gaps. One attempt at a time may append, and a request ends once:
/// dispatchers and workers may act by mistake, the log lets one of them speak. Safe for any number of callers; every call may be repeated.
/// </summary>
public interface IRequestLog
{
    /// <summary>Opens the log of <paramref name="id"/>. Opening it again changes nothing.</summary>
    ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken);

    /// <summary>Appends <see cref="RequestEvent.Accepted"/> once: a dispatcher has the request in its backlog. False if it had been accepted or ended before, or is unknown.</summary>
    ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken);

    /// <summary>
    /// Begins the next attempt. Refused when the request has ended or <paramref name="epoch"/> is below the highest seen for the model.
    /// The same <paramref name="nonce"/> gets the same answer again and raises no attempt.
    /// </summary>
    ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken);

    /// <summary>
    /// Appends <paramref name="events"/>, the first of them as <paramref name="fromSequence"/>. Events that are there already are skipped, so a writer that does not
    /// know whether its write arrived writes again. A terminal event ends the request.
    /// </summary>
    ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken);

    /// <summary>Ends a request that no attempt ends: cancelled, past its deadline, poisoned. Not fenced; the first end wins. True if this call ended it.</summary>
    ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken);

    /// <summary>
    /// All events after <paramref name="afterSequence"/>, then live ones, up to and with the terminal one; nothing, where that has been read already.
    /// </summary>
    /// <exception cref="Errors.ServingException"><see cref="Errors.ServingError.LogExpired"/> when the log does not hold what follows, or does not exist.</exception>
    IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, CancellationToken cancellationToken);

    /// <summary>Ids of the model's requests that were ended by <see cref="EndAsync"/> from now on: a hint for its dispatcher to drop or cancel them.</summary>
    IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, CancellationToken cancellationToken);
}
