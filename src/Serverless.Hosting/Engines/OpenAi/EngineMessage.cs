using System.Text;
using System.Text.Json;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>One event of an engine's stream, chat or completion. Fields that are not known are passed over; what is of another type than it should be is as if it were not there.</summary>
internal sealed record EngineMessage
{
    private const int MostChoices = 1024;
    private const int MaxDepth = 32;

    /// <summary>What came for each choice, in order.</summary>
    public IReadOnlyList<EngineDelta> Deltas { get; init; } = [];

    /// <summary>What was used, where it says so.</summary>
    public EngineUsage? Usage { get; init; }

    /// <summary>Tokens generated so far, where it says so with each event (llama-server's <c>timings_per_token</c>).</summary>
    public int? Generated { get; init; }

    /// <summary>Why it goes no further, where it says so.</summary>
    public EngineError? Error { get; init; }

    /// <summary>Reads one.</summary>
    /// <exception cref="EngineAnswerException">It is no JSON object.</exception>
    public static EngineMessage Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth });
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new EngineAnswerException("an event of its stream is no JSON object");

            return new EngineMessage
            {
                Deltas = root.Get("choices") is { ValueKind: JsonValueKind.Array } choices ? [.. choices.EnumerateArray().Take(MostChoices).Where(choice => choice.ValueKind == JsonValueKind.Object).Select(EngineDelta.Read)] : [],
                Usage = root.Get("usage") is { ValueKind: JsonValueKind.Object } usage ? EngineUsage.Read(usage) : null,
                Generated = root.Get("timings")?.Get("predicted_n")?.Int(),
                Error = EngineError.Find(root),
            };
        }
        catch (JsonException exception)
        {
            throw new EngineAnswerException("an event of its stream is no JSON", exception);
        }
        catch (InvalidOperationException exception) // half of a surrogate pair
        {
            throw new EngineAnswerException("an event of its stream has a text that is no Unicode", exception);
        }
    }
}

/// <summary>What one event added to one choice.</summary>
internal sealed record EngineDelta
{
    private const int MostTokens = 4096;

    public int Choice { get; private init; }

    public string Text { get; private init; } = "";

    public string Reasoning { get; private init; } = "";

    public IReadOnlyList<ToolCallFragment> ToolCalls { get; private init; } = [];

    /// <summary>The tokens; null: it does not say which.</summary>
    public IReadOnlyList<int>? TokenIds { get; private init; }

    public IReadOnlyList<TokenLogProb> LogProbs { get; private init; } = [];

    /// <summary>As the engine has it; null: it goes on.</summary>
    public string? Finish { get; private init; }

    /// <summary>Whether it brings anything but an end.</summary>
    public bool HasOutput => Text.Length > 0 || Reasoning.Length > 0 || ToolCalls.Count > 0 || TokenIds is { Count: > 0 };

    public static EngineDelta Read(JsonElement choice)
    {
        var delta = choice.Get("delta") is { ValueKind: JsonValueKind.Object } chat ? chat : choice.Get("message") is { ValueKind: JsonValueKind.Object } message ? message : choice;
        var logProbs = choice.Get("logprobs") is { ValueKind: JsonValueKind.Object } given ? EngineLogProbs.Read(given) : [];
        var ids = choice.Get("token_ids") is { ValueKind: JsonValueKind.Array } tokens ? tokens.EnumerateArray().Take(MostTokens).Select(token => token.Int() ?? ChoiceChunk.UnknownToken).ToArray() : null;
        return new EngineDelta
        {
            Choice = choice.Get("index")?.Int() is >= 0 and var index ? index : 0,
            Text = delta.Text("content") ?? delta.Text("text") ?? "",
            Reasoning = delta.Text("reasoning_content") ?? delta.Text("reasoning") ?? "",
            ToolCalls = delta.Get("tool_calls") is { ValueKind: JsonValueKind.Array } calls ? [.. calls.EnumerateArray().Where(call => call.ValueKind == JsonValueKind.Object).Select(ReadCall)] : [],
            TokenIds = ids ?? (logProbs.Count > 0 && logProbs.All(token => token.TokenId != ChoiceChunk.UnknownToken) ? [.. logProbs.Select(token => token.TokenId)] : null),
            LogProbs = logProbs,
            Finish = choice.Text("finish_reason"),
        };
    }

    private static ToolCallFragment ReadCall(JsonElement call, int place)
    {
        var function = call.Get("function") is { ValueKind: JsonValueKind.Object } given ? given : default;
        return new ToolCallFragment(call.Get("index")?.Int() ?? place, call.Text("id") ?? "", function.Text("name") ?? "", function.Text("arguments") ?? "");
    }
}

/// <summary>What a request used.</summary>
/// <param name="PromptTokens">Of the prompt.</param>
/// <param name="CompletionTokens">Of the output.</param>
/// <param name="CachedTokens">Of the prompt, out of a cache; null: it does not say.</param>
internal sealed record EngineUsage(int PromptTokens, int CompletionTokens, int? CachedTokens)
{
    public static EngineUsage Read(JsonElement usage) => new(
        usage.Get("prompt_tokens")?.Int() ?? 0,
        usage.Get("completion_tokens")?.Int() ?? 0,
        usage.Get("prompt_tokens_details") is { ValueKind: JsonValueKind.Object } details ? details.Get("cached_tokens")?.Int() : null);
}

/// <summary>Log-probabilities of tokens, as chats have them (<c>content</c>) and as completions have (<c>tokens</c>, <c>token_logprobs</c>, <c>top_logprobs</c>).</summary>
internal static class EngineLogProbs
{
    private const int MostTop = 64;

    public static IReadOnlyList<TokenLogProb> Read(JsonElement logProbs)
    {
        if (logProbs.Get("content") is { ValueKind: JsonValueKind.Array } content) return [.. content.EnumerateArray().Where(entry => entry.ValueKind == JsonValueKind.Object).Select(Token)];
        if (logProbs.Get("tokens") is not { ValueKind: JsonValueKind.Array } tokens || logProbs.Get("token_logprobs") is not { ValueKind: JsonValueKind.Array } values) return [];

        var tops = logProbs.Get("top_logprobs") is { ValueKind: JsonValueKind.Array } given ? given : default;
        return [.. tokens.EnumerateArray().Zip(values.EnumerateArray()).Select((pair, at) => new TokenLogProb(
            ChoiceChunk.UnknownToken, Encoding.UTF8.GetBytes(pair.First.ValueKind == JsonValueKind.String ? pair.First.GetString()! : ""), Value(pair.Second), Tops(tops, at)))];
    }

    private static TokenLogProb Token(JsonElement entry) => One(entry, entry.Get("top_logprobs") is { ValueKind: JsonValueKind.Array } top ? [.. top.EnumerateArray().Take(MostTop).Where(one => one.ValueKind == JsonValueKind.Object).Select(one => One(one, []))] : []);

    private static TokenLogProb One(JsonElement entry, IReadOnlyList<TokenLogProb> top) => new(
        entry.Get("id")?.Int() ?? ChoiceChunk.UnknownToken,
        entry.Get("bytes") is { ValueKind: JsonValueKind.Array } bytes ? bytes.EnumerateArray().Select(value => (byte)(value.Int() ?? 0)).ToArray() : Encoding.UTF8.GetBytes(entry.Text("token") ?? ""),
        entry.Get("logprob") is { } value ? Value(value) : float.NaN,
        top);

    private static IReadOnlyList<TokenLogProb> Tops(JsonElement tops, int at) => tops.ValueKind == JsonValueKind.Array && at < tops.GetArrayLength() && tops[at] is { ValueKind: JsonValueKind.Object } top
        ? [.. top.EnumerateObject().Take(MostTop).Select(one => new TokenLogProb(ChoiceChunk.UnknownToken, Encoding.UTF8.GetBytes(one.Name), Value(one.Value), []))]
        : [];

    private static float Value(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out var number) ? number : float.NaN;
}
