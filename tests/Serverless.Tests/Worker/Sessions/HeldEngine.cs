using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Dispatching;
using Serverless.Requests;
using Serverless.Worker.Engines;

namespace Serverless.Tests.Worker.Sessions;

/// <summary>An engine that gives a token when the test says so.</summary>
internal sealed class HeldEngine(int slots) : IEngine
{
    private readonly ConcurrentDictionary<RequestId, Channel<bool>> _tokens = new();

    public string Name => "held";

    public long KvCapacityTokens => 1000;

    public int Slots => slots;

    public WorkerLoad Load => WorkerLoad.Idle;

    public Task Lost { get; } = new TaskCompletionSource().Task;

    /// <summary>How many tokens the request may have been asked for and given.</summary>
    public int Given { get; private set; }

    public void Give(RequestId id, int tokens)
    {
        for (; tokens > 0; tokens--) Of(id).Writer.TryWrite(true);
    }

    public void Finish(RequestId id) => Of(id).Writer.TryComplete();

    public async IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var position = output.Count;
        await foreach (var _ in Of(request.Id).Reader.ReadAllAsync(cancellationToken))
        {
            Given++;
            yield return new EngineOutput(new ChoiceChunk(0, position, [position], $" {position}"), null);
            position++;
        }

        yield return new EngineOutput(null, new TokenUsage(request.PromptTokens, position));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Channel<bool> Of(RequestId id) => _tokens.GetOrAdd(id, _ => Channel.CreateBounded<bool>(100_000));
}
