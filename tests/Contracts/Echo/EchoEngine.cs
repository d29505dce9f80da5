using System.Runtime.CompilerServices;
using System.Text.Json;
using Serverless.Engines;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Batching;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Tests.Contracts.Echo;

/// <summary>Says what it is told, a word a token.</summary>
internal sealed class EchoEngine(int slots, int kvTokens, int times, bool isLoud) : IEngine
{
    private int _running;

    public string Name => "echo";

    public long KvCapacityTokens => kvTokens;

    public int Slots => slots;

    public WorkerLoad Load => WorkerLoad.Idle with { Running = Volatile.Read(ref _running) };

    public Task Lost { get; } = new TaskCompletionSource().Task;

    public async IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _running);
        try
        {
            var body = OpenAiBody.Parse(request.Endpoint, request.Body);
            var words = Enumerable.Repeat(Heard(body.Root).Split(' '), times).SelectMany(said => said).ToArray();
            var (length, tokens) = (Math.Min(words.Length, request.MaxOutputTokens), output.Sum(chunk => chunk.TokenIds.Count));
            for (var choice = 0; choice < request.Choices; choice++)
            {
                var logged = output.Where(chunk => chunk.Choice == choice).ToArray();
                var stops = new StopMatcher(body.Stop);
                var ended = logged.Any(chunk => chunk.Finish is not null);
                for (var position = 0; position < length && !ended; position++)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var text = stops.Add(Word(words, position), out var stopped);
                    ended = stopped || position == length - 1;
                    if (ended && !stopped) text += stops.Flush();
                    if (position < logged.Length) continue;

                    tokens++;
                    FinishReason? finish = !ended ? null : stopped || length == words.Length ? FinishReason.Stop : FinishReason.Length;
                    yield return new EngineOutput(new ChoiceChunk(choice, position, [position], text) { Finish = finish }, null);
                    await Task.Yield();
                }
            }

            yield return new EngineOutput(null, new TokenUsage(request.PromptTokens, tokens));
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static string Heard(JsonElement body) => body.TryGetProperty("messages", out var messages)
        ? messages[messages.GetArrayLength() - 1].GetProperty("content").GetString()!
        : body.GetProperty("prompt").GetString()!;

    private string Word(string[] words, int position) => (position == 0 ? "" : " ") + (isLoud ? words[position].ToUpperInvariant() : words[position]);
}
