using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Tests.Gateway.Requests;

/// <summary>A log in whose calls something else may come first, or whose answers are lost.</summary>
internal sealed class HookedLog(IRequestLog log) : IRequestLog
{
    /// <summary>Runs once: after the next look at a head, or before the next lapse.</summary>
    public Func<ValueTask<HoldResult>>? Between { get; set; }

    /// <summary>Holds are done, but their answers do not come.</summary>
    public bool LosesHolds { get; set; }

    public ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken) => log.OpenAsync(id, head, cancellationToken);

    public ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken) => log.AcceptAsync(id, at, cancellationToken);

    public ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken) => log.BeginAsync(id, epoch, nonce, cancellationToken);

    public ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken) => log.AdoptAsync(id, head, epoch, fence, cancellationToken);

    public ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken) =>
        log.AppendAsync(id, fence, fromSequence, events, cancellationToken);

    public ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken) => log.EndAsync(id, end, cancellationToken);

    public async ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent? end, CancellationToken cancellationToken)
    {
        await RunBetweenAsync();
        return await log.LapseAsync(id, holder, end, cancellationToken);
    }

    public async ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken)
    {
        var result = await log.HoldAsync(id, promise, holder, cancellationToken);
        return LosesHolds ? throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The log cannot be reached.")) : result;
    }

    public async ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken)
    {
        var head = await log.ReadHeadAsync(id, cancellationToken);
        await RunBetweenAsync();
        return head;
    }

    public IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, CancellationToken cancellationToken) => log.FollowAsync(id, afterSequence, cancellationToken);

    public void Forget(RequestId id, string holder) => log.Forget(id, holder);

    public IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, CancellationToken cancellationToken) => log.WatchEndsAsync(model, cancellationToken);

    private async Task RunBetweenAsync()
    {
        var run = Between;
        Between = null;
        if (run is not null) await run();
    }
}
