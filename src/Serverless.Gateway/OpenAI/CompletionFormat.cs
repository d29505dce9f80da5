using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>Choices of <c>text_completion</c>, whole and streamed.</summary>
internal sealed class CompletionFormat : IChoiceFormat
{
    public JsonEncodedText WholeObject { get; } = JsonEncodedText.Encode("text_completion");

    public JsonEncodedText PartObject { get; } = JsonEncodedText.Encode("text_completion");

    public bool Opens(AnswerShape shape) => shape.Echo.Count > 0;

    public void WriteOpening(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice)
    {
        var prompt = Echoed(shape, choice);
        choice.Shown += prompt.Length;
        json.WriteStartObject();
        json.WriteString(Names.Text, prompt);
        json.WriteNumber(Names.Index, choice.Index);
        json.WriteNull(Names.LogProbs);
        End(json, null);
    }

    public void WriteDelta(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice, ChoiceChunk chunk)
    {
        json.WriteStartObject();
        json.WriteString(Names.Text, chunk.Text);
        json.WriteNumber(Names.Index, choice.Index);
        if (shape.LogProbs && chunk.LogProbs.Count > 0) WriteLogProbs(json, shape, chunk.LogProbs, chunk.LogProbs.Count > chunk.TokenIds.Count ? 0 : choice.Shown);
        else json.WriteNull(Names.LogProbs);
        choice.Shown += chunk.Text.Length;
        End(json, null);
    }

    public void WriteFinish(Utf8JsonWriter json, ChoiceOutput choice)
    {
        json.WriteStartObject();
        json.WriteString(Names.Text, "");
        json.WriteNumber(Names.Index, choice.Index);
        json.WriteNull(Names.LogProbs);
        End(json, choice.Finish ?? FinishReason.Stop);
    }

    public void WriteWhole(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice)
    {
        var prompt = Opens(shape) ? Echoed(shape, choice) : "";
        json.WriteStartObject();
        json.WriteString(Names.Text, prompt.Length == 0 ? choice.Text : prompt + choice.Text);
        json.WriteNumber(Names.Index, choice.Index);
        if (shape.LogProbs) WriteLogProbs(json, shape, choice.LogProbs, choice.LogProbs.Count > choice.Tokens ? 0 : prompt.Length);
        else json.WriteNull(Names.LogProbs);
        End(json, choice.Finish ?? FinishReason.Stop);
    }

    /// <summary>Choices run over prompts × n: the first n are the first prompt's.</summary>
    private static string Echoed(AnswerShape shape, ChoiceOutput choice) => shape.Echo[choice.Index / (shape.Choices / shape.Echo.Count)];

    private static void End(Utf8JsonWriter json, FinishReason? finish)
    {
        if (finish is { } reason) json.WriteString(Names.FinishReason, reason.Value);
        else json.WriteNull(Names.FinishReason);
        json.WriteEndObject();
    }

    /// <summary>Those of the prompt come first where they are there; its first token has none.</summary>
    private static void WriteLogProbs(Utf8JsonWriter json, AnswerShape shape, IReadOnlyList<TokenLogProb> tokens, int offset)
    {
        json.WriteStartObject(Names.LogProbs);
        json.WriteStartArray(Names.Tokens);
        foreach (var token in tokens) json.WriteStringValue(Name(token));
        json.WriteEndArray();

        json.WriteStartArray(Names.TokenLogProbs);
        foreach (var token in tokens)
        {
            if (float.IsNaN(token.LogProb)) json.WriteNullValue();
            else json.WriteNumberValue(LogProbFloor.Clamp(token.LogProb));
        }

        json.WriteEndArray();

        WriteTop(json, shape, tokens);

        json.WriteStartArray(Names.TextOffset);
        foreach (var token in tokens)
        {
            json.WriteNumberValue(offset);
            offset += Encoding.UTF8.GetCharCount(token.Bytes.Span);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTop(Utf8JsonWriter json, AnswerShape shape, IReadOnlyList<TokenLogProb> tokens)
    {
        if (shape.TopLogProbs == 0)
        {
            json.WriteNull(Names.TopLogProbs);
            return;
        }

        json.WriteStartArray(Names.TopLogProbs);
        foreach (var token in tokens)
        {
            if (float.IsNaN(token.LogProb))
            {
                json.WriteNullValue();
                continue;
            }

            json.WriteStartObject();
            foreach (var top in token.Top) json.WriteNumber(Name(top), LogProbFloor.Clamp(top.LogProb));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Part of a character is named by its bytes, as OpenAI does, so that two of them do not become one key.</summary>
    private static string Name(TokenLogProb token)
    {
        if (Utf8.IsValid(token.Bytes.Span)) return Encoding.UTF8.GetString(token.Bytes.Span);

        var name = new StringBuilder("bytes:");
        foreach (var value in token.Bytes.Span) name.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
        return name.ToString();
    }
}
