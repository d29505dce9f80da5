namespace Serverless.Gateway.Admission;

/// <summary>The body of <c>POST /v1/chat/completions</c>.</summary>
internal static class ChatFields
{
    public static void Read(ref JsonFields json, ParsedBody body, ReadOnlySpan<byte> bytes)
    {
        CommonFields.Read(ref json, body, bytes, TryReadOwn);
        if (!body.HasMessages) throw json.Missing(0, "messages");
        if (body.TopLogProbsAt is { } at && !body.LogProbs) throw BodyFault.At(bytes, at, "is given without 'logprobs': true; add that or leave it out");
    }

    private static bool TryReadOwn(scoped ReadOnlySpan<char> name, ref JsonFields json, ParsedBody body)
    {
        switch (name)
        {
            case "messages": ChatMessages.Read(ref json, body); break;
            case "max_completion_tokens": body.MaxCompletionTokens = json.Integer(1, long.MaxValue); break;
            case "logprobs": body.LogProbs = json.Boolean() ?? false; break;
            case "top_logprobs": ReadTopLogProbs(ref json, body); break;
            case "response_format": ReadResponseFormat(ref json, body); break;
            case "modalities": ReadModalities(ref json, body); break;
            case "audio": CommonFields.AskObject(Feature.AudioOutput, ref json, body); break;
            case "web_search_options": CommonFields.AskObject(Feature.WebSearch, ref json, body); break;
            case "store": CommonFields.Ask(Feature.StoredCompletion, json.Boolean() ?? false, ref json, body); break;
            case "safety_identifier": json.IsText(64); break;
            case "reasoning_effort": json.OneOf("none", "minimal", "low", "medium", "high", "xhigh", "max"); break;
            case "verbosity": json.OneOf("low", "medium", "high"); break;
            default: return ChatTools.TryRead(name, ref json, body);
        }

        return true;
    }

    private static void ReadTopLogProbs(ref JsonFields json, ParsedBody body)
    {
        if (json.Integer(0, 20) is not { } top) return;

        body.TopLogProbs = (int)top;
        body.TopLogProbsAt = json.Offset;
    }

    private static void ReadResponseFormat(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsObject()) return;

        var hasType = false;
        var seen = new SeenNames();
        Span<char> name = stackalloc char[16];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            switch (name[..length])
            {
                case "type":
                    var type = json.OneOf("text", "json_object", "json_schema") ?? throw json.Wrong("must be text, json_object or json_schema");
                    CommonFields.Ask(Feature.JsonOutput, type is not "text", ref json, body);
                    hasType = true;
                    break;
                default:
                    json.Skip();
                    break;
            }
        }

        if (!hasType) throw json.Missing(offset, "type");
    }

    private static void ReadModalities(ref JsonFields json, ParsedBody body)
    {
        if (!json.IsArray()) return;

        while (json.NextElement())
        {
            var modality = json.OneOf("text", "audio") ?? throw json.Wrong("must be text or audio");
            CommonFields.Ask(Feature.AudioOutput, modality is "audio", ref json, body);
        }
    }
}
