using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Tests.Dispatching;

/// <summary>A log whose store may be away, and may come back with less than it had; its appends may fail or wait.</summary>
internal sealed class FlakyLog(TimeProvider time) : IRequestLog
{
    private readonly ConcurrentDictionary<RequestId, Fence> _fences = new();
    private volatile MemoryRequestLog _store = new(time);

    public bool Away { get; set; }

    /// <summary>Runs before each append.</summary>
    public Func<CancellationToken, Task> BeforeAppend { get; set; } = _ => Task.CompletedTask;

    /// <summary>Another run of the store that has, of each request, only the first so many events; of none: not even the head.</summary>
    public async Task LoseAsync(params (InferenceRequest Request, LogHead Head, int Kept)[] kept)
    {
        var less = new MemoryRequestLog(time);
        foreach (var (request, head, count) in kept)
        {
            await less.OpenAsync(request.Id, head, CancellationToken.None);
            var events = new List<RequestEvent>();
            if (count > 0)
            {
                await foreach (var logged in _store.FollowAsync(request.Id, 0, CancellationToken.None))
                {
                    events.Add(logged.Event);
                    if (events.Count == count) break;
                }
            }

            await less.AcceptAsync(request.Id, time.GetUtcNow(), CancellationToken.None);
            var fence = _fences.TryGetValue(request.Id, out var given)
                ? (await less.AdoptAsync(request.Id, head, 0, given, CancellationToken.None)).Fence
                : (await less.BeginAsync(request.Id, 0, Guid.NewGuid(), CancellationToken.None)).Fence;
            if (events.Count > 1) await less.AppendAsync(request.Id, fence, 2, events[1..], CancellationToken.None);
        }

        _store = less;
    }

    public ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken) => Store().OpenAsync(id, head, cancellationToken);

    public ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken) => Store().AcceptAsync(id, at, cancellationToken);

    public async ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken)
    {
        var begun = await Store().BeginAsync(id, epoch, nonce, cancellationToken);
        if (begun.Status == BeginStatus.Begun) _fences[id] = begun.Fence;
        return begun;
    }

    public ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken) => Store().AdoptAsync(id, head, epoch, fence, cancellationToken);

    public async ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken)
    {
        await BeforeAppend(cancellationToken);
        return await Store().AppendAsync(id, fence, fromSequence, events, cancellationToken);
    }

    public ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken) => Store().EndAsync(id, end, cancellationToken);

    public ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent? end, CancellationToken cancellationToken) => Store().LapseAsync(id, holder, end, cancellationToken);

    public ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken) => Store().HoldAsync(id, promise, holder, cancellationToken);

    public ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken) => Store().ReadHeadAsync(id, cancellationToken);

    public IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, CancellationToken cancellationToken) => Store().FollowAsync(id, afterSequence, cancellationToken);

    public void Forget(RequestId id, string holder) => _store.Forget(id, holder);

    public async IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var id in _store.WatchEndsAsync(model, cancellationToken)) yield return id;
    }

    private MemoryRequestLog Store() => Away ? throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The test took the log's store away.")) : _store;
}
