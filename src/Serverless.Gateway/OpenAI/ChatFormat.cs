using System.Text;
using System.Text.Json;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>Choices of <c>chat.completion</c> and <c>chat.completion.chunk</c>.</summary>
internal sealed class ChatFormat : IChoiceFormat
{
    public JsonEncodedText WholeObject { get; } = JsonEncodedText.Encode("chat.completion");

    public JsonEncodedText PartObject { get; } = JsonEncodedText.Encode("chat.completion.chunk");

    public bool Opens(AnswerShape shape) => true;

    public void WriteOpening(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice)
    {
        BeginPart(json, choice);
        json.WriteString(Names.Role, Names.Assistant);
        json.WriteString(Names.Content, "");
        json.WriteNull(Names.Refusal);
        json.WriteEndObject();
        json.WriteNull(Names.LogProbs);
        EndPart(json, null);
    }

    public void WriteDelta(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice, ChoiceChunk chunk)
    {
        BeginPart(json, choice);
        json.WriteString(Names.Content, chunk.Text);
        json.WriteEndObject();
        WriteLogProbs(json, shape.LogProbs && chunk.LogProbs.Count > 0, chunk.LogProbs);
        EndPart(json, null);
    }

    public void WriteFinish(Utf8JsonWriter json, ChoiceOutput choice)
    {
        BeginPart(json, choice);
        json.WriteEndObject();
        json.WriteNull(Names.LogProbs);
        EndPart(json, choice.Finish ?? FinishReason.Stop);
    }

    public void WriteWhole(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice)
    {
        json.WriteStartObject();
        json.WriteNumber(Names.Index, choice.Index);
        json.WriteStartObject(Names.Message);
        json.WriteString(Names.Role, Names.Assistant);
        json.WriteString(Names.Content, choice.Text);
        json.WriteNull(Names.Refusal);
        json.WriteStartArray(Names.Annotations);
        json.WriteEndArray();
        json.WriteEndObject();
        WriteLogProbs(json, shape.LogProbs, choice.LogProbs);
        EndPart(json, choice.Finish ?? FinishReason.Stop);
    }

    private static void BeginPart(Utf8JsonWriter json, ChoiceOutput choice)
    {
        json.WriteStartObject();
        json.WriteNumber(Names.Index, choice.Index);
        json.WriteStartObject(Names.Delta);
    }

    private static void EndPart(Utf8JsonWriter json, FinishReason? finish)
    {
        if (finish is { } reason) json.WriteString(Names.FinishReason, Names.Of(reason));
        else json.WriteNull(Names.FinishReason);
        json.WriteEndObject();
    }

    private static void WriteLogProbs(Utf8JsonWriter json, bool given, IReadOnlyList<TokenLogProb> tokens)
    {
        if (!given)
        {
            json.WriteNull(Names.LogProbs);
            return;
        }

        json.WriteStartObject(Names.LogProbs);
        json.WriteStartArray(Names.Content);
        foreach (var token in tokens)
        {
            json.WriteStartObject();
            WriteToken(json, token);
            json.WriteStartArray(Names.TopLogProbs);
            foreach (var top in token.Top)
            {
                json.WriteStartObject();
                WriteToken(json, top);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNull(Names.Refusal);
        json.WriteEndObject();
    }

    /// <summary>A token may be part of a character: its text then shows a replacement, its bytes are exact.</summary>
    private static void WriteToken(Utf8JsonWriter json, TokenLogProb token)
    {
        json.WriteString(Names.Token, Encoding.UTF8.GetString(token.Bytes.Span));
        json.WriteNumber(Names.LogProb, LogProbFloor.Clamp(token.LogProb));
        json.WriteStartArray(Names.Bytes);
        foreach (var value in token.Bytes.Span) json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
