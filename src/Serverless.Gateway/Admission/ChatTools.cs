using System.Text.Json;

namespace Serverless.Gateway.Admission;

/// <summary>Tools of a chat, and functions before them. The template shows them to the model; nothing is forced.</summary>
internal static class ChatTools
{
    private const int MaxTools = 128;

    /// <summary>Reads the value of the field; false if it is not about tools.</summary>
    public static bool TryRead(scoped ReadOnlySpan<char> name, ref JsonFields json, ParsedBody body)
    {
        switch (name)
        {
            case "tools": ReadTools(ref json, body); break;
            case "tool_choice" or "function_call": ReadToolChoice(ref json, body); break;
            case "functions": ReadFunctions(ref json, body); break;
            case "parallel_tool_calls": json.Boolean(); break;
            default: return false;
        }

        return true;
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
                    CommonFields.Ask(Feature.CustomTools, type is "custom", ref json, body);
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
                case "strict": CommonFields.Ask(Feature.StrictTools, json.Boolean() ?? false, ref json, body); break;
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
            CommonFields.Ask(Feature.ForcedToolCall, true, ref json, body);
            json.Skip();
            return;
        }

        CommonFields.Ask(Feature.ForcedToolCall, json.OneOf("none", "auto", "required") is "required", ref json, body);
    }

    private static void ReadFunctions(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsArray()) return;

        for (var count = 1; json.NextElement(); count++)
        {
            if (count == 1) body.Asked.Add((Feature.Functions, offset));
            if (count > MaxTools) throw json.Wrong($"comes after {MaxTools} others, the limit: it must be left out");
            ReadFunction(ref json, body);
        }
    }
}
