using System.Runtime.CompilerServices;
using Serverless.Engines;
using Serverless.Requests;
using Serverless.Sessions;
using Serverless.Tests.Dispatching;
using Shouldly;

namespace Serverless.Tests.Worker;

/// <summary>Workers, connections and dispatchers that are lost in any order, over memory. The seed of a failing run is in its name.</summary>
public sealed class ChaosTests
{
    private const int Tokens = 12;
    private const int Requests = 8;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task Whatever_is_lost_each_request_ends_once_and_no_token_is_missing_or_repeated(int seed)
    {
        var random = new Random(seed);
        await using var scene = new DispatcherScene();
        var requests = new List<InferenceRequest>();
        for (var number = 0; number < Requests; number++) requests.Add(await scene.SubmitAsync(request => request with { Promise = (Promise)(random.Next(2)), MaxOutputTokens = Tokens }));
        var ends = Task.WhenAll(requests.Select(scene.EventsAsync));
        var workers = new List<KillableWorker>();
        var started = 0;

        for (var step = 0; step < 25; step++)
        {
            if (workers.Count == 0 || (workers.Count < 3 && random.Next(3) == 0)) workers.Add(new KillableWorker(scene, new UnsteadyEngine(random.Next()), $"w-{started++}"));
            switch (random.Next(6))
            {
                case 0:
                    await scene.TakeOverAsync();
                    break;
                case 1:
                    await workers[random.Next(workers.Count)].BreakAsync();
                    break;
                case 2:
                    var lost = workers[random.Next(workers.Count)];
                    workers.Remove(lost);
                    await lost.DisposeAsync();
                    break;
            }

            await scene.PassAsync(1);
        }

        workers.Add(new KillableWorker(scene, new UnsteadyEngine(seed), $"w-{started}"));
        await scene.PassAsync(10); // enough for every look and grace; from here on only work is missing, and the clock must not outrun it
        foreach (var events in await ends.WithinLimitAsync())
        {
            events.Count(logged => logged.IsTerminal).ShouldBe(1);
            var positions = events.OfType<RequestEvent.Chunk>().SelectMany(chunk => chunk.Choices).Select(choice => choice.Position).ToList();
            positions.ShouldBe(Enumerable.Range(0, positions.Count));
            if (events[^1] is RequestEvent.Finished) positions.Count.ShouldBe(Tokens);
            else events[^1].ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(Serverless.Errors.ServingError.Poisoned);
        }

        foreach (var worker in workers) await worker.DisposeAsync();
    }

    /// <summary>Generates at no steady pace.</summary>
    private sealed class UnsteadyEngine(int seed) : IEngine
    {
        private readonly Random _random = new(seed);
        private readonly Lock _lock = new();

        public string Name => "unsteady";

        public long KvCapacityTokens => 1000;

        public int Slots => 3;

        public WorkerLoad Load => WorkerLoad.Idle;

        public Task Lost { get; } = new TaskCompletionSource().Task;

        public async IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            for (var position = output.Count; position < Tokens; position++)
            {
                for (var turns = Turns(); turns > 0; turns--) await Task.Yield();
                cancellationToken.ThrowIfCancellationRequested();
                yield return new EngineOutput(new ChoiceChunk(0, position, [position], $" {position}"), null);
            }

            yield return new EngineOutput(null, new TokenUsage(request.PromptTokens, Tokens));
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private int Turns()
        {
            lock (_lock) return _random.Next(200);
        }
    }
}
