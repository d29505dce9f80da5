using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Engines;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Tests.Worker.Sessions;

/// <summary>An engine whose every token is the test's.</summary>
internal sealed class HeldEngine : IEngine
{
    // Null is a token; a number ends the request, with so many tokens of its prompt from a cache.
    private readonly ConcurrentDictionary<RequestId, Channel<int?>> _steps = new();
    private readonly TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<bool> _asked = Channel.CreateBounded<bool>(1000);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Name => "held";

    public long KvCapacityTokens => 1000;

    public int Slots => 8;

    public WorkerLoad Load { get; set; } = WorkerLoad.Idle;

    public Task Lost => _lost.Task;

    /// <summary>Whether it goes on with what it was told to stop, until <see cref="Release"/>.</summary>
    public bool IgnoresStops { get; set; }

    /// <summary>So many more generations were asked for.</summary>
    public async Task AskedAsync(int generations)
    {
        for (; generations > 0; generations--) await _asked.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
    }

    public void Release() => _released.TrySetResult();

    /// <summary>Completes when a generation has left, however.</summary>
    public Task Stopped => _stopped.Task;

    /// <summary>How many tokens it was asked for and gave.</summary>
    public int Given { get; private set; }

    public void Give(RequestId id, int tokens)
    {
        for (; tokens > 0; tokens--) Of(id).Writer.TryWrite(null);
    }

    public void Finish(RequestId id, int cached = 0) => Of(id).Writer.TryWrite(cached);

    public void Fail(RequestId id, Exception reason) => Of(id).Writer.TryComplete(reason);

    public void Lose()
    {
        _lost.SetResult();
        foreach (var steps in _steps.Values) steps.Writer.TryComplete(new InvalidOperationException("The card fell off the bus."));
    }

    public async IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var position = output.Count;
        _asked.Writer.TryWrite(true);
        if (IgnoresStops) await _released.Task;
        try
        {
            await foreach (var step in Of(request.Id).Reader.ReadAllAsync(cancellationToken))
            {
                if (step is { } cached)
                {
                    yield return new EngineOutput(null, new TokenUsage(request.PromptTokens, position, cached));
                    yield break;
                }

                Given++;
                yield return new EngineOutput(new ChoiceChunk(0, position, [position], $" {position}"), null);
                position++;
            }
        }
        finally
        {
            _stopped.TrySetResult();
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Channel<int?> Of(RequestId id) => _steps.GetOrAdd(id, _ => Channel.CreateBounded<int?>(100_000));
}
