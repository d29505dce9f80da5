using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>One request whose worker writes numbered tokens and whose gateway follows, each by its own connection; the gateway keeps tokens by their positions, as gateways do.</summary>
internal sealed class LogScene(IRequestLog worker, IRequestLog gateway)
{
    private readonly List<int> _tokens = [];
    private readonly SortedList<int, TaskCompletionSource> _waiters = [];
    private readonly Lock _lock = new();

    public RequestId Id { get; } = RequestId.New("chatcmpl-");

    public LogHead Head { get; } = new(new ModelName($"model-{Guid.NewGuid():n}"), Promise.Id, "gateway-0", TestRequests.Deadline);

    /// <summary>The token of a position: what an undisturbed run would give.</summary>
    public static int TokenAt(int position) => (position * 7919) + 13;

    public static RequestEvent Chunk(int position, int tokens = 1) =>
        new RequestEvent.Chunk([new ChoiceChunk(0, position, [.. Enumerable.Range(position, tokens).Select(TokenAt)], "")]);

    public static RequestEvent Finished(int tokens) => new RequestEvent.Finished(new TokenUsage(1, tokens));

    /// <summary>Opens it, accepts it (event 1) and begins an attempt.</summary>
    public async Task<Fence> BeginAsync(CancellationToken cancellationToken)
    {
        await gateway.OpenAsync(Id, Head, cancellationToken);
        await worker.AcceptAsync(Id, TestRequests.Deadline, cancellationToken);
        var begun = await worker.BeginAsync(Id, 1, Guid.NewGuid(), cancellationToken);
        begun.LastSequence.ShouldBe(1);
        return begun.Fence;
    }

    /// <summary>Begins another attempt.</summary>
    public ValueTask<BeginResult> AgainAsync(CancellationToken cancellationToken) => worker.BeginAsync(Id, 1, Guid.NewGuid(), cancellationToken);

    /// <summary>Appends tokens [from, to), each its own event, each waited for; position p is event p + 2.</summary>
    public async Task AppendAsync(Fence fence, int from, int to, CancellationToken cancellationToken)
    {
        for (var position = from; position < to; position++)
            (await worker.AppendAsync(Id, fence, position + 2, [Chunk(position)], cancellationToken)).ShouldBe(AppendStatus.Accepted, $"token {position}");
    }

    /// <summary>Follows to the end; returns it. A token that is skipped or differs from what was seen at its position fails.</summary>
    public async Task<RequestEvent> FollowAsync(CancellationToken cancellationToken)
    {
        await foreach (var logged in gateway.FollowAsync(Id, 0, cancellationToken))
        {
            if (logged.Event.IsTerminal) return logged.Event;
            if (logged.Event is RequestEvent.Chunk chunk) Take(chunk.Choices[0]);
        }

        throw new InvalidOperationException($"The log of {Id} ended without an end; {Seen} tokens were seen.");
    }

    public int Seen
    {
        get
        {
            lock (_lock) return _tokens.Count;
        }
    }

    /// <summary>Completes when so many tokens were seen.</summary>
    public Task SeenAsync(int tokens)
    {
        lock (_lock)
        {
            if (_tokens.Count >= tokens) return Task.CompletedTask;
            if (!_waiters.TryGetValue(tokens, out var waiter)) _waiters[tokens] = waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return waiter.Task.WithinLimitAsync();
        }
    }

    /// <summary>Calls again while the store cannot be reached: each call is bounded in time.</summary>
    public static async Task<T> PersistAsync<T>(Func<ValueTask<T>> call)
    {
        var since = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return await call();
            }
            catch (ServingException exception) when (exception.Fault.Error == ServingError.StoreUnavailable && TimeProvider.System.GetElapsedTime(since) < TestTimeouts.Default)
            {
                await Task.Yield();
            }
        }
    }

    private void Take(ChoiceChunk chunk)
    {
        lock (_lock)
        {
            for (var i = 0; i < chunk.TokenIds.Count; i++)
            {
                var position = chunk.Position + i;
                position.ShouldBeLessThanOrEqualTo(_tokens.Count, "a token was skipped");
                chunk.TokenIds[i].ShouldBe(TokenAt(position));
                if (position == _tokens.Count) _tokens.Add(chunk.TokenIds[i]);
            }

            while (_waiters.Count > 0 && _waiters.Keys[0] <= _tokens.Count)
            {
                _waiters.Values[0].SetResult();
                _waiters.RemoveAt(0);
            }
        }
    }
}
