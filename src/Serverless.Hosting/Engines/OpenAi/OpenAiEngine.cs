using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Errors;
using Serverless.Hosting.Tokens;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>An engine behind OpenAI's API, in a process of its own, in its dialect. A request is a call, or one for each choice; cancelled, its connection is closed, by which engines know. Thread-safe.</summary>
internal sealed class OpenAiEngine : IEngine
{
    private const int LongestError = 64 * 1024;
    private const int Waiting = 256;

    /// <summary>How long after a connection broke the engine's end may take to be seen.</summary>
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(1);

    /// <summary>How long it may take to say what was used, once it has said its end.</summary>
    private static readonly TimeSpan UsageLimit = TimeSpan.FromSeconds(2);

    /// <summary>Events of a stream beyond those of its tokens: of the role, of what a parser holds back, of the usage.</summary>
    private const int MoreEvents = 4096;

    /// <summary>Events of one token at most, on average.</summary>
    private const int EventsPerToken = 8;

    private readonly HttpClient _http;
    private readonly EngineManner _manner;
    private readonly EngineDialect _dialect;
    private readonly EngineFacts _facts;
    private readonly EngineWatch _watch;
    private readonly IAsyncDisposable? _process;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _gone = new();
    private int _isPutAway;

    /// <param name="http">To it.</param>
    /// <param name="manner">How it is spoken to.</param>
    /// <param name="facts">What it is.</param>
    /// <param name="watch">Over it; the engine's own from now on, as is <paramref name="http"/>.</param>
    /// <param name="process">The engine's own; null: it runs by itself.</param>
    /// <param name="time">The clock.</param>
    public OpenAiEngine(HttpClient http, EngineManner manner, EngineFacts facts, EngineWatch watch, IAsyncDisposable? process, TimeProvider time)
    {
        (_http, _manner, _dialect, _facts, _watch, _process, _time) = (http, manner, manner.Dialect, facts, watch, process, time);
        Features = EngineFeatures.NamesOf(_dialect.Descriptor.Honours);

        // One that hangs does not end what it has begun by itself.
        _ = watch.Lost.ContinueWith(_ => _gone.Cancel(), TaskScheduler.Default);
    }

    public string Name => _dialect.Name;

    public long KvCapacityTokens => _facts.KvTokens;

    public int Slots => _facts.Slots;

    public IReadOnlyList<string> Features { get; }

    public WorkerLoad Load => _watch.Load;

    public Task Lost => _watch.Lost;

    public async IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var wanted = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _gone.Token);
        using var running = _watch.Run(request.PromptTokens);
        var continues = output.Count > 0 && _dialect.GoesOn(request.Endpoint) && !EngineBody.HasForm(request);
        var stop = OpenAiBody.Parse(request.Endpoint, request.Body).Stop;
        var streams = Enumerable.Range(0, request.Choices).Select(choice => new EngineStream(choice, output, request.MaxOutputTokens, continues, stop)).ToArray();
        if (streams.Any(stream => stream.IsUnrepeatable)) throw new ServingException(new ServingFault(ServingError.EngineFailed, "The engine was lost in the midst of a thought or a call of a tool, which no other goes on with; send the request again."));

        var isOneCall = request.Choices == 1 || (_dialect.TakesSeveralChoices && output.Count == 0);
        var totals = new EngineTotals(request.PromptTokens, request.MaxOutputTokens);
        var outputs = isOneCall ? CallAsync(request, request.Choices == 1 ? 0 : null, streams, totals, wanted.Token) : CallEachAsync(request, streams, totals, wanted.Token);
        await foreach (var chunk in outputs)
        {
            running.Said(chunk.TokenIds.Count);
            yield return new EngineOutput(chunk, null);
        }

        yield return new EngineOutput(null, totals.Usage(streams));
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isPutAway, 1) == 1) return;

        await _gone.CancelAsync();
        await _watch.DisposeAsync();
        if (_process is not null) await _process.DisposeAsync();
        _http.Dispose();
    }

    private async IAsyncEnumerable<ChoiceChunk> CallEachAsync(InferenceRequest request, EngineStream[] streams, EngineTotals totals, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var merged = Channel.CreateBounded<ChoiceChunk>(new BoundedChannelOptions(Waiting) { SingleReader = true });
        var calls = Task.WhenAll(Enumerable.Range(0, streams.Length).Where(choice => !streams[choice].HasEnded).Select(PumpAsync));
        _ = calls.ContinueWith(done => merged.Writer.TryComplete(done.Exception?.GetBaseException()), TaskScheduler.Default);
        try
        {
            await foreach (var chunk in merged.Reader.ReadAllAsync(cancellationToken)) yield return chunk;
            await calls;
        }
        finally
        {
            await stop.CancelAsync();
            await calls.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task PumpAsync(int choice)
        {
            await foreach (var chunk in CallAsync(request, choice, streams, totals, stop.Token)) await merged.Writer.WriteAsync(chunk, stop.Token);
        }
    }

    /// <summary>One call, to its end.</summary>
    private async IAsyncEnumerable<ChoiceChunk> CallAsync(InferenceRequest request, int? choice, EngineStream[] streams, EngineTotals totals, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var mine = choice is { } one ? [streams[one]] : streams;
        if (mine.All(stream => stream.HasEnded)) yield break;

        var countsAlong = mine.Length == 1 || _dialect.CountsEachChoice;
        var hasEnded = false;
        var (events, most) = (0L, MoreEvents + ((long)EventsPerToken * request.MaxOutputTokens * mine.Length));
        using var end = new CancellationTokenSource(Timeout.InfiniteTimeSpan, _time);
        await foreach (var message in ReadAsync(request, isOpenEnded => EngineBody.Write(request, choice, mine[0].Emitted, mine[0].EmittedTokens, _manner, isOpenEnded), end.Token, cancellationToken))
        {
            if (message.Error is { } error && !hasEnded) throw FailureOf(error);
            if (message.Usage is { } usage) totals.Note(choice ?? 0, usage);
            foreach (var delta in message.Deltas)
            {
                var index = choice ?? delta.Choice;
                if (index >= streams.Length) throw new EngineAnswerException(string.Create(CultureInfo.InvariantCulture, $"it names choice {index} of {streams.Length}"));
                if (streams[index].Take(delta, FinishOf(delta), message.Generated ?? (countsAlong ? message.Usage?.CompletionTokens : null)) is { } chunk) yield return chunk;
            }

            if (mine.All(stream => stream.HasEnded))
            {
                if (mine.Any(stream => stream.IsStopped) || message is { Usage: not null, Deltas.Count: 0 }) yield break; // its connection is closed
                if (!hasEnded) end.CancelAfter(UsageLimit);
                hasEnded = true;
            }
            else if (++events > most)
            {
                throw new EngineAnswerException(string.Create(CultureInfo.InvariantCulture, $"its stream has no end after {most} events, which is more than {request.MaxOutputTokens} tokens take"));
            }
        }

        if (mine.Any(stream => !stream.HasEnded)) throw await BrokenAsync("its stream ended without a finish reason", null, cancellationToken);
    }

    private FinishReason? FinishOf(EngineDelta delta)
    {
        if (delta.Finish is not { } said) return null;
        return _dialect.FinishOf(said) ?? throw new EngineGaveUpException($"it says '{said}'", isBusy: true);
    }

    /// <summary>What it answers, event by event; a connection that breaks is told from one that is cut here.</summary>
    private async IAsyncEnumerable<EngineMessage> ReadAsync(InferenceRequest request, Func<bool, byte[]> bodyOf, CancellationToken end, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(end, cancellationToken);
        using var response = await UnbrokenAsync(() => SendAsync(request, bodyOf, cancellationToken), cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await using var events = EventLines.ReadAsync(stream, either.Token).GetAsyncEnumerator(either.Token);
        while (await UnbrokenAsync(() => MoveAsync(events, end), cancellationToken))
        {
            _watch.Heard();
            cancellationToken.ThrowIfCancellationRequested();
            if (end.IsCancellationRequested) yield break;
            if (events.Current.AsSpan().SequenceEqual("[DONE]"u8)) yield break;
            yield return EngineMessage.Parse(events.Current);
        }
    }

    /// <summary>False: there is nothing more, or nobody waits for it.</summary>
    private static async Task<bool> MoveAsync(IAsyncEnumerator<byte[]> events, CancellationToken end)
    {
        try
        {
            return await events.MoveNextAsync();
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<T> UnbrokenAsync<T>(Func<Task<T>> step, CancellationToken cancellationToken)
    {
        try
        {
            return await step();
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            throw await BrokenAsync(exception is OperationCanceledException ? "it cannot be reached" : "its connection broke", exception, cancellationToken); // HttpClient cancels what it cannot connect
        }
    }

    /// <summary>An engine that goes breaks what it is at a moment before its end is seen: then it is lost, and nothing is said of the request.</summary>
    private async Task<EngineGaveUpException> BrokenAsync(string why, Exception? exception, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(Lost, Task.Delay(EndLimit, _time, limit.Token));
        await limit.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
        return new EngineGaveUpException(why, isBusy: false, exception);
    }

    /// <summary>Prompts are counted here, of models without a file by guess: an engine that finds no room for as much as the request may have is asked for as much as there is.</summary>
    private async Task<HttpResponseMessage> SendAsync(InferenceRequest request, Func<bool, byte[]> bodyOf, CancellationToken cancellationToken)
    {
        var path = request.Endpoint == EndpointName.ChatCompletions ? "v1/chat/completions" : "v1/completions";
        var (response, error) = await PostAsync(path, bodyOf(false), cancellationToken);
        if (error is { IsOfContext: true } && !_dialect.ClipsOutput) (response, error) = await PostAsync(path, bodyOf(true), cancellationToken);
        return response ?? throw FailureOf(error!);
    }

    /// <summary>Its stream, or what it says is wrong.</summary>
    private async Task<(HttpResponseMessage? Response, EngineError? Error)> PostAsync(string path, byte[] body, CancellationToken cancellationToken)
    {
        using var call = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } } };
        call.Headers.ConnectionClose = true; // one that the engine is about to close would break the request, and a cancelled one is no good for another
        call.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        var response = await _http.SendAsync(call, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode == HttpStatusCode.OK && response.Content.Headers.ContentType?.MediaType == "text/event-stream") return (response, null);

        using (response)
        {
            var status = (int)response.StatusCode;
            var text = await ReadBoundedAsync(response.Content, cancellationToken);
            if (status == 200) throw new EngineAnswerException($"it answers with '{response.Content.Headers.ContentType?.MediaType}' where a stream of events is due");
            return (null, EngineError.Of(status, text));
        }
    }

    private static async Task<byte[]> ReadBoundedAsync(HttpContent content, CancellationToken cancellationToken)
    {
        await using var stream = await content.ReadAsStreamAsync(cancellationToken);
        var buffer = new byte[LongestError];
        var read = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return buffer[..read];
    }

    private static Exception FailureOf(EngineError error) => error.IsPassing ? new EngineGaveUpException(error.Message.Length > 0 ? error.Message : $"its status is {error.Status}", isBusy: true) : new ServingException(error.ToFault());
}

/// <summary>What the calls of one request used together. Thread-safe.</summary>
internal sealed class EngineTotals(int promptTokens, int mostTokens)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<int, EngineUsage> _calls = [];

    public void Note(int call, EngineUsage usage)
    {
        lock (_lock) _calls[call] = usage;
    }

    /// <summary>Output as it was logged: of the engine's own count what earlier attempts logged is no part, and a prompt that is gone on from has the output in it.</summary>
    public TokenUsage Usage(EngineStream[] streams)
    {
        lock (_lock)
        {
            var said = streams.Length == 1 && _calls.TryGetValue(0, out var only) && only.CompletionTokens > 0 ? streams[0].EmittedTokens + (long)only.CompletionTokens : 0;
            var counted = said > 0 && said <= (long)mostTokens + EngineStream.Slack ? (int)said : streams.Sum(stream => stream.Tokens); // what cannot be is not believed
            var cached = _calls.Values.Select(call => call.CachedTokens ?? 0).DefaultIfEmpty(0).Min();
            return new TokenUsage(promptTokens, counted, Math.Clamp(cached, 0, promptTokens));
        }
    }
}
