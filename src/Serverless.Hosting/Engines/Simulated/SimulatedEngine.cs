using System.Runtime.CompilerServices;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Batching;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Hosting.Engines.Simulated;

/// <summary>A timing model of an engine that says the same every time, and counts in it: each of its first 4096 tokens is another. For load tests, demonstrations and tests of the path. Continues exactly.</summary>
internal sealed class SimulatedEngine(SimulatedEngineOptions options, TimeProvider time) : IEngine
{
    private static readonly string[] Words = [" one", " two", " three", " four", " five", " six", " seven", " eight", .. Enumerable.Range(9, 4088).Select(number => $" {number}")];
    private static readonly int[][] TokenIds = [.. Enumerable.Range(0, Words.Length).Select(id => new[] { id })];

    private readonly TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _requests;
    private int _running;
    private long _kvUsed;

    public string Name => SimulatedEngineFactory.Described.Name;

    public IReadOnlyList<string> Features { get; } = EngineFeatures.NamesOf(SimulatedEngineFactory.Described.Honours);

    public Task Lost => _lost.Task;

    public long KvCapacityTokens => options.KvTokens;

    public int Slots => options.Slots;

    public WorkerLoad Load => new(Volatile.Read(ref _running), Volatile.Read(ref _kvUsed), options.PrefillTokensPerSecond, options.DecodeTokensPerSecond);

    public async IAsyncEnumerable<EngineOutput> GenerateAsync(
        InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var number = Interlocked.Increment(ref _requests);
        var left = options.FailAfterTokens;
        Interlocked.Increment(ref _running);
        Interlocked.Add(ref _kvUsed, request.PromptTokens);
        try
        {
            await TakeAsync(request.PromptTokens, options.PrefillTokensPerSecond, cancellationToken);
            var length = Math.Min(options.OutputTokens, request.MaxOutputTokens);
            var finish = length < options.OutputTokens ? FinishReason.Length : FinishReason.Stop;
            var stop = StopsOf(request);
            var tokens = output.Sum(chunk => chunk.TokenIds.Count);
            for (var choice = 0; choice < request.Choices; choice++)
            {
                var logged = output.Where(chunk => chunk.Choice == choice).ToList();
                var from = logged.Sum(chunk => chunk.TokenIds.Count);
                var stops = new StopMatcher(stop);
                for (var position = 0; position < from; position++) stops.Add(Words[position % Words.Length], out _);
                var ended = logged.Exists(chunk => chunk.Finish is not null);
                for (var position = from; position < length && !ended; position++)
                {
                    if (left-- == 0) FailOnPurpose(number);
                    await TakeAsync(1, options.DecodeTokensPerSecond / Math.Max(1, Volatile.Read(ref _running)), cancellationToken);
                    cancellationToken.ThrowIfCancellationRequested();
                    var word = position % Words.Length;
                    var text = stops.Add(Words[word], out var stopped);
                    ended = stopped || position == length - 1;
                    if (ended && !stopped) text += stops.Flush();
                    tokens++;
                    yield return new EngineOutput(new ChoiceChunk(choice, position, TokenIds[word], text) { Finish = stopped ? FinishReason.Stop : ended ? finish : null }, null);
                }
            }

            yield return new EngineOutput(null, new TokenUsage(request.PromptTokens, tokens));
        }
        finally
        {
            Interlocked.Decrement(ref _running);
            Interlocked.Add(ref _kvUsed, -request.PromptTokens);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>A body is read only where it may hold some: this engine is there to cost nothing.</summary>
    private static IReadOnlyList<string> StopsOf(InferenceRequest request) =>
        request.Body.Span.IndexOf("\"stop\""u8) < 0 ? [] : OpenAiBody.Parse(request.Endpoint, request.Body).Stop;

    private void FailOnPurpose(int number)
    {
        if (options.CrashEvery > 0 && number % options.CrashEvery == 0)
        {
            _lost.TrySetResult();
            throw new InvalidOperationException($"The simulated engine was lost with request {number}, as its flavor's crashEvery asks.");
        }

        if (options.FailEvery > 0 && number % options.FailEvery == 0) throw new InvalidOperationException($"The simulated engine failed request {number}, as its flavor's failEvery asks.");
    }

    private ValueTask TakeAsync(int tokens, double rate, CancellationToken cancellationToken) =>
        rate > 0 ? new ValueTask(Task.Delay(TimeSpan.FromSeconds(tokens / rate), time, cancellationToken)) : ValueTask.CompletedTask;
}
