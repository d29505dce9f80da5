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
        if (chunk.Reasoning.Length > 0) json.WriteString(Names.ReasoningContent, chunk.Reasoning);
        if (chunk.Text.Length > 0 || (chunk.Reasoning.Length == 0 && chunk.ToolCalls.Count == 0)) json.WriteString(Names.Content, chunk.Text);
        if (chunk.ToolCalls.Count > 0) WriteFragments(json, chunk.ToolCalls);
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
        if (choice.ToolCalls.Count > 0 && choice.Text.Length == 0) json.WriteNull(Names.Content);
        else json.WriteString(Names.Content, choice.Text);
        if (choice.Reasoning.Length > 0) json.WriteString(Names.ReasoningContent, choice.Reasoning);
        if (choice.ToolCalls.Count > 0) WriteCalls(json, choice.ToolCalls);
        json.WriteNull(Names.Refusal);
        json.WriteStartArray(Names.Annotations);
        json.WriteEndArray();
        json.WriteEndObject();
        WriteLogProbs(json, shape.LogProbs, choice.LogProbs);
        EndPart(json, choice.Finish ?? FinishReason.Stop);
    }

    /// <summary>As OpenAI streams them: id, type and name come with a call's first piece.</summary>
    private static void WriteFragments(Utf8JsonWriter json, IReadOnlyList<ToolCallFragment> calls)
    {
        json.WriteStartArray(Names.ToolCalls);
        foreach (var call in calls)
        {
            json.WriteStartObject();
            json.WriteNumber(Names.Index, call.Index);
            WriteCall(json, call);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteCalls(Utf8JsonWriter json, IReadOnlyList<ToolCallFragment> calls)
    {
        json.WriteStartArray(Names.ToolCalls);
        foreach (var call in calls)
        {
            json.WriteStartObject();
            WriteCall(json, call);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteCall(Utf8JsonWriter json, ToolCallFragment call)
    {
        if (call.Id.Length > 0)
        {
            json.WriteString(Names.Id, call.Id);
            json.WriteString(Names.Type, Names.Function);
        }

        json.WriteStartObject(Names.Function);
        if (call.Name.Length > 0) json.WriteString(Names.Name, call.Name);
        json.WriteString(Names.Arguments, call.Arguments);
        json.WriteEndObject();
    }

    private static void BeginPart(Utf8JsonWriter json, ChoiceOutput choice)
    {
        json.WriteStartObject();
        json.WriteNumber(Names.Index, choice.Index);
        json.WriteStartObject(Names.Delta);
    }

    private static void EndPart(Utf8JsonWriter json, FinishReason? finish)
    {
        if (finish is { } reason) json.WriteString(Names.FinishReason, reason.Value);
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
