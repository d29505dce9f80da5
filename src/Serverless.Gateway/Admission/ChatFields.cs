using System.Collections.Frozen;
using System.Text.Json;
using Serverless.Catalog.Engines;

namespace Serverless.Gateway.Admission;

/// <summary>The body of <c>POST /v1/chat/completions</c>. Tools are shown to the model by its template; nothing is forced.</summary>
internal static class ChatFields
{
    private const int MaxTools = 128;

    /// <summary>What the server itself gives to a template: as arguments they would make another prompt than was checked.</summary>
    private static readonly FrozenSet<string> TemplatesOwn = FrozenSet.Create(
        StringComparer.Ordinal, "messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "raise_exception", "namespace", "dict", "range", "strftime_now");

    /// <summary>All fields by name.</summary>
    public static FrozenDictionary<string, FieldReader> All { get; } = CommonFields.With(
    [
        ("messages", ChatMessages.Read),
        ("max_completion_tokens", (ref json, body) => body.MaxCompletionTokens = json.Integer(1, long.MaxValue)),
        ("logprobs", (ref json, body) => body.LogProbs = json.Boolean() ?? false),
        ("top_logprobs", ReadTopLogProbs),
        ("response_format", ReadResponseFormat),
        ("modalities", ReadModalities),
        ("audio", (ref json, body) => FieldReaders.Object(EngineFeature.AudioOutput, ref json, body)),
        ("web_search_options", (ref json, body) => FieldReaders.Object(EngineFeature.WebSearch, ref json, body)),
        ("moderation", (ref json, body) => FieldReaders.Object(EngineFeature.Moderation, ref json, body)),
        ("store", (ref json, body) => body.Ask(EngineFeature.StoredCompletion, json.Offset, json.Boolean() ?? false)),
        ("reasoning_effort", (ref json, body) => body.Ask(EngineFeature.ReasoningEffort, json.Offset, json.OneOf("none", "minimal", "low", "medium", "high", "xhigh", "max") is not (null or "none"))),
        ("verbosity", (ref json, body) => body.Ask(EngineFeature.Verbosity, json.Offset, json.OneOf("low", "medium", "high") is not (null or "medium"))),
        ("prediction", ReadHint),
        ("prompt_cache_options", ReadHint),
        ("prompt_cache_retention", (ref json, body) => json.IsText()),
        ("tools", ReadTools),
        ("tool_choice", ReadToolChoice),
        ("parallel_tool_calls", (ref json, body) => body.Ask(EngineFeature.SingleToolCalls, json.Offset, json.Boolean() is false)),
        ("functions", ReadFunctions),
        ("function_call", ReadToolChoice),
        ("chat_template_kwargs", ReadTemplateArguments),
        .. FieldReaders.Neutral(EngineFeature.OtherTemplate, 0, "chat_template", "continue_final_message", "documents", "echo"),
        .. FieldReaders.Neutral(EngineFeature.OtherTemplate, 1, "add_generation_prompt"),
    ]);

    public static void Read(ref JsonFields json, ParsedBody body)
    {
        CommonFields.Read(ref json, body, All);
        if (!body.HasMessages) throw json.Missing(0, "messages");
        if (body.TopLogProbsAt is { } at && !body.LogProbs) throw json.Empty(at, "is given without 'logprobs': true; add that or leave it out");
    }

    private static void ReadHint(ref JsonFields json, ParsedBody body)
    {
        json.IsObject();
        json.Skip();
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
                    body.Ask(EngineFeature.JsonOutput, json.Offset, type is not "text");
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
            body.Ask(EngineFeature.AudioOutput, json.Offset, modality is "audio");
        }
    }

    /// <summary>Variables of the model's template, an object of any values; none that the server sets.</summary>
    private static void ReadTemplateArguments(ref JsonFields json, ParsedBody body)
    {
        if (!json.IsObject()) return;

        var own = TemplatesOwn.GetAlternateLookup<ReadOnlySpan<char>>();
        var seen = new SeenNames();
        Span<char> name = stackalloc char[64];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            if (own.Contains(name[..length])) throw json.Empty(json.Offset, "is what the server gives to every template; it must be left out");
            json.Skip();
        }
    }

    private static void ReadTools(ref JsonFields json, ParsedBody body)
    {
        if (!json.IsArray()) return;

        for (var count = 1; json.NextElement(); count++)
        {
            if (count > MaxTools) throw json.Wrong($"comes after {MaxTools} others, the limit: it must be left out");
            ReadTool(ref json, body);
        }
    }

    private static void ReadTool(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsObject()) throw json.Wrong("must be an object");

        string? type = null;
        var hasFunction = false;
        var seen = new SeenNames();
        Span<char> name = stackalloc char[16];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            switch (name[..length])
            {
                case "type":
                    type = json.OneOf("function", "custom") ?? throw json.Wrong("must be function or custom");
                    body.Ask(EngineFeature.CustomTools, json.Offset, type is "custom");
                    break;
                case "function":
                    ReadFunction(ref json, body);
                    hasFunction = true;
                    break;
                default:
                    json.Skip();
                    break;
            }
        }

        if (type is null) throw json.Missing(offset, "type");
        if (type is "function" && !hasFunction) throw json.Missing(offset, "function");
    }

    private static void ReadFunction(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsObject()) throw json.Wrong("must be an object");

        var hasName = false;
        var seen = new SeenNames();
        Span<char> name = stackalloc char[16];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            switch (name[..length])
            {
                case "name": hasName = json.Text(64) is { Length: > 0 } ? true : throw json.Wrong("must be a name"); break;
                case "description": json.IsText(); break;
                case "parameters": json.IsObject(); json.Skip(); break;
                case "strict": body.Ask(EngineFeature.StrictTools, json.Offset, json.Boolean() ?? false); break;
                default: json.Skip(); break;
            }
        }

        if (!hasName) throw json.Missing(offset, "name");
    }

    /// <summary><c>tool_choice</c>, and <c>function_call</c> before it: a word, or an object that names what must be called.</summary>
    private static void ReadToolChoice(ref JsonFields json, ParsedBody body)
    {
        if (json.Token == JsonTokenType.StartObject)
        {
            body.Ask(EngineFeature.ForcedToolCall, json.Offset);
            json.Skip();
            return;
        }

        body.Ask(EngineFeature.ForcedToolCall, json.Offset, json.OneOf("none", "auto", "required") is "required");
    }

    private static void ReadFunctions(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsArray()) return;

        for (var count = 1; json.NextElement(); count++)
        {
            if (count == 1) body.Ask(EngineFeature.Functions, offset);
            if (count > MaxTools) throw json.Wrong($"comes after {MaxTools} others, the limit: it must be left out");
            ReadFunction(ref json, body);
        }
    }
}
