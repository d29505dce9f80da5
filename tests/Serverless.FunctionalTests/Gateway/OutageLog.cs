using System.Runtime.CompilerServices;
using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A log that can be away, and that tells of what gateways do with it.</summary>
internal sealed class OutageLog(MemoryRequestLog log) : IRequestLog, IDisposable
{
    private CancellationTokenSource _away = new();

    /// <summary>Whether it is away: calls fail, and so do those who follow.</summary>
    public bool Away
    {
        get;
        set
        {
            field = value;
            if (value) _away.Cancel();
            else _away = new CancellationTokenSource();
        }
    }

    /// <summary>Runs before a hold is set.</summary>
    public Func<RequestId, Task> BeforeHold { get; set; } = _ => Task.CompletedTask;

    /// <summary>The first lapse that a gateway asks for.</summary>
    public TaskCompletionSource<LapseResult> Lapsed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Count => log.Count;

    public ValueTask OpenAsync(RequestId id, LogHead head, CancellationToken cancellationToken) => Here().OpenAsync(id, head, cancellationToken);

    public ValueTask<bool> AcceptAsync(RequestId id, DateTimeOffset at, CancellationToken cancellationToken) => Here().AcceptAsync(id, at, cancellationToken);

    public ValueTask<BeginResult> BeginAsync(RequestId id, long epoch, Guid nonce, CancellationToken cancellationToken) => Here().BeginAsync(id, epoch, nonce, cancellationToken);

    public ValueTask<AdoptResult> AdoptAsync(RequestId id, LogHead head, long epoch, Fence fence, CancellationToken cancellationToken) =>
        Here().AdoptAsync(id, head, epoch, fence, cancellationToken);

    public ValueTask<AppendStatus> AppendAsync(RequestId id, Fence fence, long fromSequence, IReadOnlyList<RequestEvent> events, CancellationToken cancellationToken) =>
        log.AppendAsync(id, fence, fromSequence, events, cancellationToken);

    public ValueTask<bool> EndAsync(RequestId id, RequestEvent end, CancellationToken cancellationToken) => Here().EndAsync(id, end, cancellationToken);

    public async ValueTask<LapseResult> LapseAsync(RequestId id, string holder, RequestEvent? end, CancellationToken cancellationToken)
    {
        var result = await Here().LapseAsync(id, holder, end, cancellationToken);
        Lapsed.TrySetResult(result);
        return result;
    }

    public async ValueTask<HoldResult> HoldAsync(RequestId id, Promise promise, string holder, CancellationToken cancellationToken)
    {
        await BeforeHold(id);
        return await Here().HoldAsync(id, promise, holder, cancellationToken);
    }

    public ValueTask<LogHead?> ReadHeadAsync(RequestId id, CancellationToken cancellationToken) => Here().ReadHeadAsync(id, cancellationToken);

    public async IAsyncEnumerable<LoggedEvent> FollowAsync(RequestId id, long afterSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Here();
        var away = _away.Token;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, away);
        await using var events = log.FollowAsync(id, afterSequence, either.Token).Enumerate(either.Token);
        while (true)
        {
            try
            {
                if (!await events.MoveNextAsync()) yield break;
            }
            catch (OperationCanceledException) when (away.IsCancellationRequested)
            {
                throw Backend.Away("log");
            }

            if (away.IsCancellationRequested) throw Backend.Away("log");
            yield return events.Current;
        }
    }

    public void Forget(RequestId id, string holder) => log.Forget(id, holder);

    public IAsyncEnumerable<RequestId> WatchEndsAsync(ModelName model, CancellationToken cancellationToken) => log.WatchEndsAsync(model, cancellationToken);

    public void Dispose() => _away.Dispose();

    private MemoryRequestLog Here() => Away ? throw Backend.Away("log") : log;
}
