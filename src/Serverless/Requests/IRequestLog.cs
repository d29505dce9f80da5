using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>
/// Port: events come up through here. Per request a head and events numbered 1, 2, 3 … without gaps. One attempt at a time may append, and a request ends once:
/// dispatchers and workers may act by mistake, the log lets one of them speak. Safe for any number of callers; every call may be repeated.
/// </summary>
/// <remarks>A store that cannot be reached: every call throws <see cref="Errors.ServingException"/> with <see cref="Errors.ServingError.StoreUnavailable"/> after a bounded time.</remarks>
public interface IRequestLog
{
    /// <summary>Opens the log of <paramref name="id"/>. Opening it again changes nothing.</summary>
    ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken);

    /// <summary>Appends <see cref="RequestEvent.Accepted"/> once: a dispatcher has the request in its backlog. False if it had been accepted or ended before, or is unknown.</summary>
    ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken);

    /// <summary>
    /// Begins the next attempt; a request that has begun counts as accepted. Refused when the request has ended or <paramref name="epoch"/> is below the highest seen for the model.
    /// The same <paramref name="nonce"/> gets the same answer again and raises no attempt.
    /// </summary>
    ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken);

    /// <summary>
    /// Lets a running attempt go on under this dispatcher: after a take-over, or because the store's run changed (<see cref="AppendStatus.StoreChanged"/>). Writes no event.
    /// A store that lost the log opens it again with <paramref name="head"/>; one that knows a lower attempt raises it to that of <paramref name="fence"/>. An attempt of the same
    /// number that a store before the loss gave is another one, and superseded; a fence without a run is taken for the one there is.
    /// </summary>
    ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken);

    /// <summary>
    /// Appends <paramref name="events"/>, the first of them as <paramref name="fromSequence"/>. Events that are there already are skipped, so a writer that does not
    /// know whether its write arrived writes again. A terminal event ends the request; so does output beyond what one log keeps (<see cref="AppendStatus.TooLarge"/>).
    /// </summary>
    ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken);

    /// <summary>Ends a request that no attempt ends: cancelled, past its deadline, poisoned. Not fenced; the first end wins. True if this call ended it.</summary>
    ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken);

    /// <summary>
    /// <paramref name="holder"/> holds what connections promised no longer. The last one's going ends the request with <paramref name="end"/>; where that is null, the last one stays. The
    /// answer says whether it has ended, and who holds it otherwise. What does not hold it changes nothing.
    /// </summary>
    ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent? end, CancellationToken cancellationToken);

    /// <summary>
    /// <see cref="Promise.Connection"/>: <paramref name="holder"/> holds an open request too, beside those that do, and the head names it. Several may: each answers for clients of its own,
    /// and none can tell for another's. <see cref="Promise.Id"/>: an id promises it from now on, and nobody else holds it. Compare-and-set with the end: a request that has ended keeps its
    /// head, and what an id promised stays promised by it.
    /// </summary>
    ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken);

    /// <summary>The head as it is now, or null when there is no such log.</summary>
    ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken);

    /// <summary>
    /// All events after <paramref name="afterSequence"/>, then live ones, up to and with the terminal one; nothing after that. At hand in pieces of bounded size, however long the log is.
    /// A store that lost data yields what it got again: sequences may go back, so a follower keeps what it has by token positions, which neither skip nor repeat.
    /// </summary>
    /// <exception cref="Errors.ServingException"><see cref="Errors.ServingError.LogExpired"/> when the log does not hold what follows, or does not exist.</exception>
    IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, CancellationToken cancellationToken);

    /// <summary>
    /// The holder of a connection's request has given its whole answer: the events of an ended log that nobody may come back for are let go, if <paramref name="holder"/> alone
    /// holds it. Reading alone never does that, whoever reads. Returns at once and may do nothing: what is not forgotten expires.
    /// </summary>
    void Forget(RequestId id, string holder);

    /// <summary>Ids of the model's requests that were ended by <see cref="EndAsync"/> from now on: a hint for its dispatcher to drop or cancel them.</summary>
    IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, CancellationToken cancellationToken);
}
