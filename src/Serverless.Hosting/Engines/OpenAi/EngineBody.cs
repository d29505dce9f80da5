using System.Buffers;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>What an engine is sent of a request: the client's own body, field by field as it came, but for what this platform decides. Pure.</summary>
internal static class EngineBody
{
    private static readonly JsonWriterOptions Raw = new() { SkipValidation = true };

    /// <summary>Writes it.</summary>
    /// <param name="request">The request.</param>
    /// <param name="choice">Which of its choices; null: all of them, by one call.</param>
    /// <param name="emitted">What was said of that choice before, which it is to go on from; empty: it begins.</param>
    /// <param name="emittedTokens">Tokens of that.</param>
    /// <param name="manner">How the engine wants it.</param>
    /// <param name="isOpenEnded">Whether it is asked for as much as its context leaves, and not for as much as the request may have.</param>
    public static byte[] Write(InferenceRequest request, int? choice, string emitted, int emittedTokens, EngineManner manner, bool isOpenEnded = false)
    {
        var engine = manner.Dialect;
        using var document = JsonDocument.Parse(request.Body, new JsonDocumentOptions { MaxDepth = 64 });
        var root = document.RootElement;
        var buffer = new ArrayBufferWriter<byte>(request.Body.Length + emitted.Length + 512);
        using var json = new Utf8JsonWriter(buffer, Raw);
        var isChat = request.Endpoint == EndpointName.ChatCompletions;
        json.WriteStartObject();
        foreach (var field in root.EnumerateObject())
        {
            if (IsOurs(field.Name) || field.Value.ValueKind == JsonValueKind.Null) continue;
            if (emitted.Length > 0 && field.NameEquals(isChat ? "messages" : "prompt"))
            {
                json.WritePropertyName(field.Name);
                if (isChat) WriteMessages(json, field.Value, emitted);
                else json.WriteStringValue(PromptOf(field.Value, choice ?? 0, request) + emitted);
            }
            else if (choice is { } one && !isChat && field.NameEquals("prompt") && field.Value.ValueKind == JsonValueKind.Array && IsList(field.Value))
            {
                json.WritePropertyName(field.Name);
                field.Value[one / PerPrompt(field.Value, request)].WriteTo(json);
            }
            else
            {
                WriteOther(json, field, engine);
            }
        }

        foreach (var (name, value) in Defaults(manner.Sampling))
        {
            if (!root.TryGetProperty(name, out var given) || given.ValueKind == JsonValueKind.Null) engine.WriteSampling(json, name, value);
        }

        json.WriteString("model", manner.ServedName);
        if (choice is null) json.WriteNumber("n", root.Get("prompt") is { ValueKind: JsonValueKind.Array } prompts && IsList(prompts) ? PerPrompt(prompts, request) : request.Choices);
        WriteStream(json, engine);
        if (isOpenEnded) json.WriteNull("max_tokens");
        else json.WriteNumber("max_tokens", Math.Max(1, request.MaxOutputTokens - emittedTokens));
        json.WriteNumber("seed", (long)((request.Seed + (ulong)(choice ?? 0)) & 0x7FFF_FFFF));
        if (emitted.Length > 0 && isChat) engine.WriteContinue(json);
        engine.WriteMore(json, request, manner.ByDeadline);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Whether its output has a form that a beginning of it does not fit: an engine that is to go on from text would begin the form anew.</summary>
    public static bool HasForm(InferenceRequest request)
    {
        using var document = JsonDocument.Parse(request.Body, new JsonDocumentOptions { MaxDepth = 64 });
        return document.RootElement.EnumerateObject().Any(field => field.Value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False) && (field.Name is "tools" or "functions" or "grammar" or "json_schema" or "structured_outputs"
            || field.Name.StartsWith("guided_", StringComparison.Ordinal) || (field.NameEquals("response_format") && field.Value.Text("type") != "text")));
    }

    private static bool IsOurs(string name) =>
        name is "model" or "stream" or "stream_options" or "max_tokens" or "max_completion_tokens" or "seed" or "service_tier" or "store" or "metadata" or "user" or "priority" or "echo" or "stop" or "n" or "best_of";

    private static void WriteStream(Utf8JsonWriter json, EngineDialect engine)
    {
        json.WriteBoolean("stream", true);
        json.WriteStartObject("stream_options");
        json.WriteBoolean("include_usage", true);
        engine.WriteStreamOptions(json);
        json.WriteEndObject();
    }

    private static void WriteOther(Utf8JsonWriter json, JsonProperty field, EngineDialect engine)
    {
        if (IsSampling(field.Name) && field.Value.ValueKind == JsonValueKind.Number)
        {
            engine.WriteSampling(json, field.Name, field.Value.GetDouble());
            return;
        }

        json.WritePropertyName(engine.NameOf(field.Name));
        field.Value.WriteTo(json);
    }

    private static bool IsSampling(string name) => name is "temperature" or "top_p" or "top_k" or "min_p" or "presence_penalty" or "frequency_penalty";

    private static (string Name, double Value)[] Defaults(SamplingDefaults given) =>
    [
        ("temperature", given.Temperature ?? 1), ("top_p", given.TopP ?? 1), ("top_k", given.TopK ?? 0), ("min_p", given.MinP ?? 0),
        ("presence_penalty", given.PresencePenalty ?? 0), ("frequency_penalty", given.FrequencyPenalty ?? 0),
    ];

    private static void WriteMessages(Utf8JsonWriter json, JsonElement messages, string emitted)
    {
        json.WriteStartArray();
        foreach (var message in messages.EnumerateArray()) message.WriteTo(json);
        json.WriteStartObject();
        json.WriteString("role", "assistant");
        json.WriteString("content", emitted);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    /// <summary>Whether it is several prompts: texts, or lists of tokens; one list of tokens is one.</summary>
    private static bool IsList(JsonElement prompt) => prompt.GetArrayLength() > 0 && prompt[0].ValueKind != JsonValueKind.Number;

    private static int PerPrompt(JsonElement prompts, InferenceRequest request) => Math.Max(1, request.Choices / prompts.GetArrayLength());

    private static string PromptOf(JsonElement prompt, int choice, InferenceRequest request)
    {
        var one = prompt.ValueKind == JsonValueKind.Array && IsList(prompt) ? prompt[choice / PerPrompt(prompt, request)] : prompt;
        return one.ValueKind == JsonValueKind.String ? one.GetString()! : throw new EngineAnswerException("its prompt is tokens, which cannot be gone on from by text");
    }
}
