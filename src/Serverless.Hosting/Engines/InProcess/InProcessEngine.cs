using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Batching;
using Serverless.Inference.Models;
using Serverless.Inference.Sampling;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Hosting.Engines.InProcess;

/// <summary>The engine in this process. A request's choices are sequences of one batch; each continues exactly from what is logged of it.</summary>
internal sealed class InProcessEngine(InferenceModel model, InferenceEngine engine, InferenceEngineOptions options, PromptReader prompts, SamplingDefaults? sampling = null) : IEngine
{
    private const int LongBody = 8192;

    public string Name => InProcessEngineFactory.Described.Name;

    public IReadOnlyList<string> Features { get; } = EngineFeatures.NamesOf(InProcessEngineFactory.Described.Honours);

    public Task Lost => engine.Failed;

    public long KvCapacityTokens => options.KvTokens;

    public int Slots => options.MaxSequences;

    public WorkerLoad Load
    {
        get
        {
            var load = engine.Load;
            return new WorkerLoad(load.Running + load.Waiting, load.KvTokensUsed, load.PrefillTokensPerSecond, load.DecodeTokensPerSecond);
        }
    }

    public async IAsyncEnumerable<EngineOutput> GenerateAsync(
        InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A long prompt takes a while to read; the caller has others to hear.
        if (request.Body.Length > LongBody) await Task.Yield();

        var body = OpenAiBody.Parse(request.Endpoint, request.Body, sampling);
        var encoded = prompts.Encode(body, request.AcceptedAt);
        var perPrompt = Math.Max(1, request.Choices / encoded.Count);
        var sequences = new List<Continued?>(request.Choices);
        for (var choice = 0; choice < request.Choices; choice++) sequences.Add(Sequence(request, body, encoded[choice / perPrompt], choice, output));

        var tokens = output.Sum(chunk => chunk.TokenIds.Count);
        var cached = new int[request.Choices];
        await foreach (var chunk in RunAsync(sequences, cached, cancellationToken))
        {
            tokens += chunk.TokenIds.Count;
            yield return new EngineOutput(chunk, null);
        }

        // A prompt's tokens count once, however many choices share them: what the first of them to run found there.
        var found = Enumerable.Range(0, request.Choices).Where(choice => sequences[choice] is not null).GroupBy(choice => choice / perPrompt).Sum(choices => choices.Min(choice => cached[choice]));
        yield return new EngineOutput(null, new TokenUsage(encoded.Sum(prompt => prompt.Count), tokens, found));
    }

    public async ValueTask DisposeAsync()
    {
        await engine.DisposeAsync();
        model.Dispose();
    }

    /// <summary>The sequence of a choice; null if it ended in an earlier attempt.</summary>
    private Continued? Sequence(InferenceRequest request, OpenAiBody body, IReadOnlyList<int> prompt, int choice, IReadOnlyList<ChoiceChunk> output)
    {
        var logged = output.Where(chunk => chunk.Choice == choice).ToList();
        if (logged.Any(chunk => chunk.Finish is not null)) return null;

        var emitted = Emitted(logged);
        var shift = logged.Sum(chunk => chunk.TokenIds.Count) - emitted.Count;
        var sequence = new GenerationRequest
        {
            Prompt = prompt,
            Emitted = emitted,
            MaxTokens = Math.Max(emitted.Count + 1, request.MaxOutputTokens - shift),
            Sampling = body.Sampling,
            Seed = request.Seed + (ulong)choice,
            Stop = body.Stop,
            TopLogProbs = body.TopLogProbs,
            PromptLogProbs = body.PromptLogProbs,
            IgnoreEnd = body.IgnoreEnd,
            Tenant = request.Owner.Scope,
            Lane = (int)request.Lane,
            Unattended = request.Lane == Lane.Batch,
            Deadline = request.Deadline,
        };
        return new Continued(sequence, shift);
    }

    /// <summary>The tokens of an output: those that are logged, or where an engine logged text alone those of its text, as this model writes it.</summary>
    private List<int> Emitted(List<ChoiceChunk> logged) => logged.Exists(chunk => chunk.TokenIds.Contains(ChoiceChunk.UnknownToken))
        ? model.Tokenizer.Encode(string.Concat(logged.Select(chunk => chunk.Text)) + Encoding.UTF8.GetString(logged[^1].HeldBack.Span), parseSpecial: false)
        : [.. logged.SelectMany(chunk => chunk.TokenIds)];

    /// <summary>Whoever stops reading wants no more, whether it was cancelled or not: an answer that grew too long ends so.</summary>
    private async IAsyncEnumerable<ChoiceChunk> RunAsync(List<Continued?> sequences, int[] cached, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            var chunks = sequences is [{ } only] ? OneAsync(only, cached, reading.Token) : AllAsync(sequences, cached, reading.Token);
            await foreach (var chunk in chunks) yield return chunk;
        }
        finally
        {
            await reading.CancelAsync();
        }
    }

    private async IAsyncEnumerable<ChoiceChunk> OneAsync(Continued sequence, int[] cached, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var step in engine.GenerateAsync(sequence.Request, cancellationToken))
        {
            cached[0] = step.Cached;
            yield return Chunk(0, step, sequence);
        }
    }

    private async IAsyncEnumerable<ChoiceChunk> AllAsync(List<Continued?> sequences, int[] cached, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var merged = Channel.CreateBounded<ChoiceChunk>(new BoundedChannelOptions(256) { SingleReader = true });
        var pumps = Task.WhenAll(sequences.Select((sequence, choice) => sequence is null ? Task.CompletedTask : PumpAsync(choice, sequence)));
        _ = pumps.ContinueWith(done => merged.Writer.TryComplete(done.Exception?.GetBaseException()), TaskScheduler.Default);
        await foreach (var chunk in merged.Reader.ReadAllAsync(cancellationToken)) yield return chunk;
        await pumps;

        async Task PumpAsync(int choice, Continued sequence)
        {
            await foreach (var step in engine.GenerateAsync(sequence.Request, cancellationToken))
            {
                cached[choice] = step.Cached;
                await merged.Writer.WriteAsync(Chunk(choice, step, sequence), cancellationToken);
            }
        }
    }

    private ChoiceChunk Chunk(int choice, GenerationStep step, Continued sequence) => new(choice, step.Position + sequence.Shift, [step.Token], step.Text)
    {
        HeldBack = step.HeldBack,
        LogProbs = sequence.Request.TopLogProbs >= 0 ? [.. step.Prompt.Select(token => LogProb(token.Token, token.LogProb, token.Top)), LogProb(step.Token, step.LogProb, step.Top)] : [],
        Finish = step.Finish switch
        {
            GenerationFinish.Stop => FinishReason.Stop,
            GenerationFinish.Length => FinishReason.Length,
            _ => null,
        },
    };

    private TokenLogProb LogProb(int token, float logProb, IReadOnlyList<TokenProbability> top) => new(token, model.Tokenizer.Name(token), logProb, [.. top.Select(Top)]);

    private TokenLogProb Top(TokenProbability token) => new(token.Token, model.Tokenizer.Name(token.Token), token.LogProb, []);

    /// <summary>A choice to go on with.</summary>
    /// <param name="Request">As the engine has it.</param>
    /// <param name="Shift">How many more tokens are logged of it than this model writes its text with.</param>
    private sealed record Continued(GenerationRequest Request, int Shift);
}
