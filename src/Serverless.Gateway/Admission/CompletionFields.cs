using System.Collections.Frozen;
using System.Text.Json;
using Serverless.Catalog.Engines;

namespace Serverless.Gateway.Admission;

/// <summary>The body of <c>POST /v1/completions</c>.</summary>
internal static class CompletionFields
{
    /// <summary>OpenAI's limit for arrays of inputs.</summary>
    private const int MaxPrompts = 2048;

    private const string PromptRule = "must be a string, an array of strings, an array of token ids, or an array of such arrays";

    /// <summary>All fields by name.</summary>
    public static FrozenDictionary<string, FieldReader> All { get; } = CommonFields.With(
    [
        ("prompt", ReadPrompt),
        ("logprobs", ReadLogProbs),
        ("echo", ReadEcho),
        ("best_of", ReadBestOf),
        ("suffix", (ref json, body) => body.Ask(EngineFeature.Suffix, json.Offset, json.Text() is { Length: > 0 })),
    ]);

    public static void Read(ref JsonFields json, ParsedBody body)
    {
        CommonFields.Read(ref json, body, All);
        if (body.Prompts.Count == 0) throw json.Missing(0, "prompt");
        if (body.BestOf < body.ChoicesPerPrompt) throw json.Empty(body.BestOfAt!.Value, $"is {body.BestOf}; it must be at least 'n', {body.ChoicesPerPrompt}");
        if (body.BestOf > body.ChoicesPerPrompt) body.Ask(EngineFeature.BestOf, body.BestOfAt!.Value);
        if (body.Echo && body.PromptsAreTokens) body.Ask(EngineFeature.EchoOfTokens, body.EchoAt!.Value);
        if (body.Echo && body.LogProbs) body.Ask(EngineFeature.EchoWithLogProbs, body.EchoAt!.Value);
    }

    private static void ReadLogProbs(ref JsonFields json, ParsedBody body)
    {
        if (json.Integer(0, 5) is { } top) (body.LogProbs, body.TopLogProbs) = (true, (int)top);
    }

    private static void ReadEcho(ref JsonFields json, ParsedBody body)
    {
        body.EchoAt = json.Offset;
        body.Echo = json.Boolean() ?? false;
    }

    private static void ReadBestOf(ref JsonFields json, ParsedBody body)
    {
        body.BestOfAt = json.Offset;
        body.BestOf = (int?)json.Integer(1, 20);
    }

    private static void ReadPrompt(ref JsonFields json, ParsedBody body)
    {
        var start = json.Offset;
        if (json.Token == JsonTokenType.String)
        {
            Add(start..json.End, json.TextBytes, body);
            return;
        }

        if (json.Token != JsonTokenType.StartArray) throw json.Wrong(PromptRule);
        if (!json.NextElement()) throw json.Empty(start, "must hold at least one prompt");

        var kind = json.Token;
        if (kind is not (JsonTokenType.String or JsonTokenType.Number or JsonTokenType.StartArray)) throw json.Wrong(PromptRule);

        body.PromptsAreTokens = kind is not JsonTokenType.String;
        var tokens = 0;
        do
        {
            if (json.Token != kind) throw json.Wrong("must be of the same kind as the elements before it");
            if (kind == JsonTokenType.Number) RequireToken(ref json, ref tokens);
            else ReadPromptElement(ref json, body);
        }
        while (json.NextElement());

        if (kind == JsonTokenType.Number) Add(start..json.End, tokens, body);
    }

    private static void ReadPromptElement(ref JsonFields json, ParsedBody body)
    {
        if (body.Prompts.Count == MaxPrompts) throw json.Wrong($"comes after {MaxPrompts} others, the limit: it must be left out");

        var start = json.Offset;
        if (json.Token == JsonTokenType.String)
        {
            Add(start..json.End, json.TextBytes, body);
            return;
        }

        var tokens = 0;
        while (json.NextElement()) RequireToken(ref json, ref tokens);
        if (tokens == 0) throw json.Empty(start, "must hold at least one token id");
        Add(start..json.End, tokens, body);
    }

    private static void Add(Range prompt, int size, ParsedBody body)
    {
        body.Prompts.Add(prompt);
        body.PromptBytes = Math.Max(body.PromptBytes, size);
    }

    private static void RequireToken(ref JsonFields json, ref int tokens)
    {
        if (!json.IsTokenId()) throw json.Wrong("must be a token id");
        tokens++;
    }
}
