using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Tests.Worker;

/// <summary>A log whose appends fail or wait when the test says so.</summary>
internal sealed class FaultyLog(IRequestLog log) : IRequestLog
{
    /// <summary>Runs before each append.</summary>
    public Func<CancellationToken, Task> BeforeAppend { get; set; } = _ => Task.CompletedTask;

    public ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken) => log.OpenAsync(id, head, cancellationToken);

    public ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken) => log.AcceptAsync(id, at, cancellationToken);

    public ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken) => log.BeginAsync(id, epoch, nonce, cancellationToken);

    public ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken) => log.AdoptAsync(id, head, epoch, fence, cancellationToken);

    public async ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken)
    {
        await BeforeAppend(cancellationToken);
        return await log.AppendAsync(id, fence, fromSequence, events, cancellationToken);
    }

    public ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken) => log.EndAsync(id, end, cancellationToken);

    public ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent end, CancellationToken cancellationToken) => log.LapseAsync(id, holder, end, cancellationToken);

    public ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken) => log.HoldAsync(id, promise, holder, cancellationToken);

    public ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken) => log.ReadHeadAsync(id, cancellationToken);

    public IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, CancellationToken cancellationToken) => log.FollowAsync(id, afterSequence, cancellationToken);

    public IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, CancellationToken cancellationToken) => log.WatchEndsAsync(model, cancellationToken);
}
