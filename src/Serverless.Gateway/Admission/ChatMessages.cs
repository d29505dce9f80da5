using System.Text.Json;
using Serverless.Catalog.Engines;

namespace Serverless.Gateway.Admission;

/// <summary>The <c>messages</c> of a chat: roles, and content as text or as parts.</summary>
internal static class ChatMessages
{
    public static void Read(ref JsonFields json, ParsedBody body)
    {
        var start = json.Offset;
        if (json.Token != JsonTokenType.StartArray) throw json.Wrong("must be an array of at least one message");

        while (json.NextElement())
        {
            ReadMessage(ref json, body);
            body.HasMessages = true;
        }

        if (!body.HasMessages) throw json.Empty(start, "must hold at least one message");
        body.Prompts.Add(start..json.End);
    }

    private static void ReadMessage(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsObject()) throw json.Wrong("must be a message object with 'role' and 'content'");

        var message = new Message { ContentAt = offset };
        var seen = new SeenNames();
        Span<char> name = stackalloc char[16];
        while (json.NextField(ref seen, name) is var length and >= 0) ReadField(name[..length], ref json, body, ref message);

        if (message.Role is null) throw json.Missing(offset, "role");
        if (message.Role is "tool" && !message.HasCallId) throw json.Missing(offset, "tool_call_id");
        if (message.Role is "assistant" && message.HasCalls) return;
        if (message.Content == Content.Missing) throw json.Missing(offset, "content");
        if (message.Content == Content.Null) throw json.Empty(message.ContentAt, "is null; it must be text, or an array of parts");
    }

    private static void ReadField(scoped ReadOnlySpan<char> name, ref JsonFields json, ParsedBody body, ref Message message)
    {
        switch (name)
        {
            case "role":
                message.Role = json.OneOf("system", "developer", "user", "assistant", "tool", "function")
                    ?? throw json.Wrong("must be system, developer, user, assistant, tool or function");
                break;
            case "content":
                message.ContentAt = json.Offset;
                message.Content = ReadContent(ref json, body);
                break;
            case "tool_calls": message.HasCalls |= ReadToolCalls(ref json); break;
            case "function_call":
                message.HasCalls |= json.IsObject();
                json.Skip();
                break;
            case "tool_call_id": message.HasCallId = json.IsText(); break;
            case "name" or "refusal": json.IsText(); break;
            case "audio": FieldReaders.Object(EngineFeature.AudioInput, ref json, body); break;
            default: json.Skip(); break;
        }
    }

    private static Content ReadContent(ref JsonFields json, ParsedBody body)
    {
        switch (json.Token)
        {
            case JsonTokenType.Null:
                return Content.Null;
            case JsonTokenType.String:
                body.PromptBytes += json.TextBytes;
                return Content.Given;
            case JsonTokenType.StartArray:
                while (json.NextElement()) ReadPart(ref json, body);
                return Content.Given;
            default:
                throw json.Wrong("must be a string or an array of parts");
        }
    }

    private static void ReadPart(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsObject()) throw json.Wrong("must be a part object with a 'type'");

        string? type = null;
        var hasText = false;
        var seen = new SeenNames();
        Span<char> name = stackalloc char[16];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            switch (name[..length])
            {
                case "type":
                    type = json.OneOf("text", "refusal", "image_url", "input_audio", "file") ?? throw json.Wrong("must be text, refusal, image_url, input_audio or file");
                    body.Ask(EngineFeature.ImageInput, json.Offset, type is "image_url");
                    body.Ask(EngineFeature.AudioInput, json.Offset, type is "input_audio");
                    body.Ask(EngineFeature.FileInput, json.Offset, type is "file");
                    break;
                case "text" or "refusal":
                    hasText = json.IsText() ? true : throw json.Wrong("must be a string");
                    body.PromptBytes += json.TextBytes;
                    break;
                default:
                    json.Skip();
                    break;
            }
        }

        if (type is null) throw json.Missing(offset, "type");
        if (type is "text" or "refusal" && !hasText) throw json.Missing(offset, type);
    }

    private static bool ReadToolCalls(ref JsonFields json)
    {
        if (!json.IsArray()) return false;

        var any = false;
        while (json.NextElement())
        {
            ReadToolCall(ref json);
            any = true;
        }

        return any;
    }

    private static void ReadToolCall(ref JsonFields json)
    {
        var offset = json.Offset;
        if (!json.IsObject()) throw json.Wrong("must be an object with 'id', 'type' and 'function'");

        var hasFunction = false;
        var seen = new SeenNames();
        Span<char> name = stackalloc char[16];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            switch (name[..length])
            {
                case "id" or "type": json.IsText(); break;
                case "function":
                    hasFunction = json.IsObject() ? true : throw json.Wrong("must be an object");
                    ReadCalled(ref json);
                    break;
                case "custom":
                    hasFunction = json.IsObject();
                    json.Skip();
                    break;
                default: json.Skip(); break;
            }
        }

        if (!hasFunction) throw json.Missing(offset, "function");
    }

    private static void ReadCalled(ref JsonFields json)
    {
        var offset = json.Offset;
        var hasName = false;
        var seen = new SeenNames();
        Span<char> name = stackalloc char[16];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            switch (name[..length])
            {
                case "name": hasName = json.IsText() ? true : throw json.Wrong("must be a string"); break;
                case "arguments": json.IsText(); break;
                default: json.Skip(); break;
            }
        }

        if (!hasName) throw json.Missing(offset, "name");
    }

    private struct Message
    {
        public string? Role;
        public Content Content;
        public int ContentAt;
        public bool HasCalls;
        public bool HasCallId;
    }

    private enum Content
    {
        Missing,
        Null,
        Given,
    }
}
