using System.Text;
using System.Text.Json;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.DeadLetters;

/// <summary>Dead letters as operators read them. A list tells no bodies: they hold prompts.</summary>
internal static class DeadLetterJson
{
    public static byte[] List(IReadOnlyList<DeadLetter> letters) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var letter in letters)
        {
            json.WriteStartObject();
            WriteFields(json, letter);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    public static byte[] One(DeadLetter letter) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        WriteFields(json, letter);
        json.WriteString("body", Encoding.UTF8.GetString(letter.Body.Span)); // as text, whatever it is: what is no UTF-8 shows as such
        json.WriteEndObject();
    });

    public static byte[] Removed(string id) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteString("object", "dead_letter");
        json.WriteBoolean("deleted", true);
        json.WriteEndObject();
    });

    public static byte[] Redriven(string id, RequestId request) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteString("object", "dead_letter");
        json.WriteString("request", request.Value);
        json.WriteEndObject();
    });

    private static void WriteFields(Utf8JsonWriter json, DeadLetter letter)
    {
        json.WriteString("id", letter.Id);
        json.WriteString("object", "dead_letter");
        json.WriteString("error", letter.Reason.Error.ToString());
        json.WriteString("message", letter.Reason.Message);
        json.WriteNumber("attempts", letter.Attempts);
        json.WriteNumber("created_at", letter.At.ToUnixTimeSeconds());
        json.WriteNumber("bytes", letter.Bytes);
        if (letter.Request is not { } request) return;

        json.WriteString("model", request.Model.Value);
        json.WriteNumber("prompt_tokens", request.PromptTokens);
        json.WriteString("organization", request.Owner.Organization);
    }
}
