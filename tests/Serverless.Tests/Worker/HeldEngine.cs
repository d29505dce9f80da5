using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Dispatching;
using Serverless.Requests;
using Serverless.Worker.Engines;

namespace Serverless.Tests.Worker;

/// <summary>An engine whose every token is the test's.</summary>
internal sealed class HeldEngine : IEngine
{
    private readonly Channel<EngineOutput> _outputs = Channel.CreateBounded<EngineOutput>(1000);
    private readonly TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Name => "held";

    public long KvCapacityTokens => 1000;

    public int Slots => 8;

    public WorkerLoad Load { get; set; } = WorkerLoad.Idle;

    public Task Lost => _lost.Task;

    /// <summary>Completes when a generation has left, however.</summary>
    public Task Stopped => _stopped.Task;

    public void Token(int position) => _outputs.Writer.TryWrite(new EngineOutput(new ChoiceChunk(0, position, [position], " word"), null));

    public void Finish(int tokens, int cached = 0) => _outputs.Writer.TryWrite(new EngineOutput(null, new TokenUsage(10, tokens, cached)));

    public void Fail(Exception reason) => _outputs.Writer.TryComplete(reason);

    public void Lose()
    {
        _lost.SetResult();
        _outputs.Writer.TryComplete(new InvalidOperationException("The card fell off the bus."));
    }

    public async IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var next in _outputs.Reader.ReadAllAsync(cancellationToken))
            {
                yield return next;
                if (next.Usage is not null) yield break;
            }
        }
        finally
        {
            _stopped.TrySetResult();
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
