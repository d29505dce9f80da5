using System.Text.Json;

namespace Serverless.Gateway.Admission;

/// <summary>The body of <c>POST /v1/completions</c>.</summary>
internal static class CompletionFields
{
    /// <summary>OpenAI's limit for arrays of inputs.</summary>
    private const int MaxPrompts = 2048;

    private const string PromptRule = "must be a string, an array of strings, an array of token ids, or an array of such arrays";

    public static void Read(ref JsonFields json, ParsedBody body, ReadOnlySpan<byte> bytes)
    {
        CommonFields.Read(ref json, body, bytes, TryReadOwn);
        if (body.Prompts.Count == 0) throw json.Missing(0, "prompt");
        if (body.BestOf < body.ChoicesPerPrompt) throw BodyFault.At(bytes, body.BestOfAt!.Value, $"is {body.BestOf}; it must be at least 'n', {body.ChoicesPerPrompt}");
        if (body.BestOf > body.ChoicesPerPrompt) body.Asked.Add((Feature.BestOf, body.BestOfAt!.Value));
        if (body.Echo && body.PromptsAreTokens) body.Asked.Add((Feature.EchoOfTokens, body.EchoAt!.Value));
        if (body.Echo && body.LogProbs) body.Asked.Add((Feature.EchoWithLogProbs, body.EchoAt!.Value));
    }

    private static bool TryReadOwn(scoped ReadOnlySpan<char> name, ref JsonFields json, ParsedBody body)
    {
        switch (name)
        {
            case "prompt":
                ReadPrompt(ref json, body);
                break;
            case "logprobs":
                if (json.Integer(0, 5) is { } top) (body.LogProbs, body.TopLogProbs) = (true, (int)top);
                break;
            case "echo":
                body.EchoAt = json.Offset;
                body.Echo = json.Boolean() ?? false;
                break;
            case "best_of":
                body.BestOfAt = json.Offset;
                body.BestOf = (int?)json.Integer(1, 20);
                break;
            case "suffix":
                CommonFields.Ask(Feature.Suffix, json.Text() is { Length: > 0 }, ref json, body);
                break;
            default:
                return false;
        }

        return true;
    }

    private static void ReadPrompt(ref JsonFields json, ParsedBody body)
    {
        var start = json.Offset;
        if (json.Token == JsonTokenType.String)
        {
            body.Prompts.Add(start..json.End);
            return;
        }

        if (json.Token != JsonTokenType.StartArray) throw json.Wrong(PromptRule);
        if (!json.NextElement()) throw json.Empty(start, "must hold at least one prompt");

        var kind = json.Token;
        if (kind is not (JsonTokenType.String or JsonTokenType.Number or JsonTokenType.StartArray)) throw json.Wrong(PromptRule);

        body.PromptsAreTokens = kind is not JsonTokenType.String;
        do
        {
            if (json.Token != kind) throw json.Wrong("must be of the same kind as the elements before it");
            if (kind == JsonTokenType.Number) RequireToken(ref json);
            else ReadPromptElement(ref json, body);
        }
        while (json.NextElement());

        if (kind == JsonTokenType.Number) body.Prompts.Add(start..json.End);
    }

    private static void ReadPromptElement(ref JsonFields json, ParsedBody body)
    {
        if (body.Prompts.Count == MaxPrompts) throw json.Wrong($"comes after {MaxPrompts} others, the limit: it must be left out");

        var start = json.Offset;
        if (json.Token == JsonTokenType.StartArray)
        {
            var count = 0;
            for (; json.NextElement(); count++) RequireToken(ref json);
            if (count == 0) throw json.Empty(start, "must hold at least one token id");
        }

        body.Prompts.Add(start..json.End);
    }

    private static void RequireToken(ref JsonFields json)
    {
        if (json.Integer(0, int.MaxValue) is null) throw json.Wrong("must be a token id");
    }
}
