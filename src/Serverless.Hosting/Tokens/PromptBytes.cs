using System.Text.Json;
using Serverless.Inference.Tokenizers;
using Serverless.Requests;

namespace Serverless.Hosting.Tokens;

/// <summary>
/// How long a body's text is at least, from its JSON alone: nothing is copied, so that a prompt far too long costs no more than being looked over. Of a chat only what users say counts:
/// a template shows that, and may leave out the rest. What the vocabulary has no tokens for does not count.
/// </summary>
internal static class PromptBytes
{
    private const int MaxDepth = 64;

    /// <summary>Bytes of the longest prompt's text, at least; 0 where nothing is known.</summary>
    public static long Longest(Tokenizer tokenizer, EndpointName kind, ReadOnlySpan<byte> body)
    {
        var json = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            if (!json.Read() || json.TokenType != JsonTokenType.StartObject) return 0;

            var wanted = kind == EndpointName.ChatCompletions ? "messages"u8 : "prompt"u8;
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                var found = json.ValueTextEquals(wanted);
                json.Read();
                if (found) return kind == EndpointName.ChatCompletions ? Messages(tokenizer, ref json) : Prompts(tokenizer, ref json);
                json.Skip();
            }
        }
        catch (JsonException)
        {
            // Whoever reads it in full says what is wrong with it.
        }

        return 0;
    }

    private static long Prompts(Tokenizer tokenizer, ref Utf8JsonReader json)
    {
        if (json.TokenType == JsonTokenType.String) return Text(tokenizer, ref json);
        if (json.TokenType != JsonTokenType.StartArray) return 0;

        var longest = 0L;
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (json.TokenType == JsonTokenType.String) longest = Math.Max(longest, Text(tokenizer, ref json));
            else json.Skip();
        }

        return longest;
    }

    private static long Messages(Tokenizer tokenizer, ref Utf8JsonReader json)
    {
        var sum = 0L;
        if (json.TokenType != JsonTokenType.StartArray) return 0;
        while (json.Read() && json.TokenType == JsonTokenType.StartObject) sum += Message(tokenizer, ref json);
        return sum;
    }

    private static long Message(Tokenizer tokenizer, ref Utf8JsonReader json)
    {
        var (bytes, isUser) = (0L, false);
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var (isRole, isContent) = (json.ValueTextEquals("role"u8), json.ValueTextEquals("content"u8));
            json.Read();
            if (isRole) isUser = json.TokenType == JsonTokenType.String && json.ValueTextEquals("user"u8);
            if (isContent) bytes = Content(tokenizer, ref json);
            else json.Skip();
        }

        return isUser ? bytes : 0;
    }

    private static long Content(Tokenizer tokenizer, ref Utf8JsonReader json)
    {
        if (json.TokenType == JsonTokenType.String) return Text(tokenizer, ref json);
        if (json.TokenType != JsonTokenType.StartArray)
        {
            json.Skip();
            return 0;
        }

        var (bytes, depth) = (0L, json.CurrentDepth);
        while (json.Read() && json.CurrentDepth > depth)
        {
            if (json.TokenType != JsonTokenType.PropertyName) continue;
            var isText = json.ValueTextEquals("text"u8);
            json.Read();
            if (isText && json.TokenType == JsonTokenType.String) bytes += Text(tokenizer, ref json);
        }

        return bytes;
    }

    /// <summary>A text's bytes but for its escapes, which may stand for what the vocabulary lacks.</summary>
    private static long Text(Tokenizer tokenizer, ref Utf8JsonReader json)
    {
        var raw = json.ValueSpan;
        if (!json.ValueIsEscaped) return tokenizer.CountBytes(raw);

        var bytes = 0L;
        for (var at = raw.IndexOf((byte)'\\'); at >= 0; at = raw.IndexOf((byte)'\\'))
        {
            bytes += tokenizer.CountBytes(raw[..at]);
            var length = at + 1 < raw.Length && raw[at + 1] == 'u' ? 6 : 2;
            raw = raw[Math.Min(raw.Length, at + length)..];
        }

        return bytes + tokenizer.CountBytes(raw);
    }
}
