using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>Writes one request's answer as OpenAI's JSON: the envelope here, the choices by <see cref="IChoiceFormat"/>. Not thread-safe; one a request.</summary>
internal sealed class AnswerWriter : IDisposable
{
    // Clients read JSON, never this as HTML: text stays readable and short. Validation is for the tests, not for every token.
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly AnswerShape _shape;
    private readonly Utf8JsonWriter _json;
    private readonly JsonEncodedText _id;
    private readonly JsonEncodedText _model;

    public AnswerWriter(AnswerShape shape, IBufferWriter<byte> output)
    {
        _shape = shape;
        _json = new Utf8JsonWriter(output, WriterOptions);
        _id = JsonEncodedText.Encode(shape.Id.Value);
        _model = JsonEncodedText.Encode(shape.Model, JavaScriptEncoder.UnsafeRelaxedJsonEscaping);
        Format = shape.RequireApi().Format;
    }

    /// <summary>Writes from now on to another output.</summary>
    public void Redirect(IBufferWriter<byte> output) => _json.Reset(output);

    /// <summary>How its choices are written.</summary>
    public IChoiceFormat Format { get; }

    /// <summary>The JSON of an opening.</summary>
    public void WriteOpening(ChoiceOutput choice)
    {
        BeginPart();
        Format.WriteOpening(_json, _shape, choice);
        EndPart();
    }

    /// <summary>The JSON of one step's output.</summary>
    public void WriteDelta(ChoiceOutput choice, ChoiceChunk chunk)
    {
        BeginPart();
        Format.WriteDelta(_json, _shape, choice, chunk);
        EndPart();
    }

    /// <summary>The JSON of a choice's end.</summary>
    public void WriteFinish(ChoiceOutput choice)
    {
        BeginPart();
        Format.WriteFinish(_json, choice);
        EndPart();
    }

    /// <summary>The JSON of the usage at the end of a stream.</summary>
    public void WriteUsage(TokenUsage usage)
    {
        BeginPart();
        _json.WriteEndArray();
        WriteUsageProperty(usage);
        _json.WriteEndObject();
        _json.Flush();
        _json.Reset();
    }

    /// <summary>The JSON of the answer in one piece.</summary>
    public void WriteWhole(IReadOnlyList<ChoiceOutput> choices, TokenUsage usage)
    {
        WriteEnvelope(Format.WholeObject);
        foreach (var choice in choices) Format.WriteWhole(_json, _shape, choice);
        _json.WriteEndArray();
        WriteUsageProperty(usage);
        _json.WriteEndObject();
        _json.Flush();
    }

    public void Dispose() => _json.Dispose();

    private void BeginPart() => WriteEnvelope(Format.PartObject);

    private void EndPart()
    {
        _json.WriteEndArray();
        if (_shape.IncludeUsage) _json.WriteNull(Names.Usage);
        _json.WriteEndObject();
        _json.Flush();
        _json.Reset();
    }

    private void WriteEnvelope(JsonEncodedText objectName)
    {
        _json.WriteStartObject();
        _json.WriteString(Names.Id, _id);
        _json.WriteString(Names.Object, objectName);
        _json.WriteNumber(Names.Created, _shape.Created);
        _json.WriteString(Names.Model, _model);
        _json.WriteString(Names.ServiceTier, _shape.ServiceTier);
        _json.WriteString(Names.SystemFingerprint, _shape.SystemFingerprint);
        _json.WriteStartArray(Names.Choices);
    }

    private void WriteUsageProperty(TokenUsage usage)
    {
        _json.WriteStartObject(Names.Usage);
        _json.WriteNumber(Names.PromptTokens, usage.PromptTokens);
        _json.WriteNumber(Names.CompletionTokens, usage.CompletionTokens);
        _json.WriteNumber(Names.TotalTokens, (long)usage.PromptTokens + usage.CompletionTokens);
        _json.WriteStartObject(Names.PromptTokensDetails);
        _json.WriteNumber(Names.CachedTokens, usage.CachedTokens);
        _json.WriteNumber(Names.AudioTokens, 0);
        _json.WriteEndObject();
        _json.WriteStartObject(Names.CompletionTokensDetails);
        _json.WriteNumber(Names.ReasoningTokens, 0);
        _json.WriteNumber(Names.AudioTokens, 0);
        _json.WriteNumber(Names.AcceptedPredictionTokens, 0);
        _json.WriteNumber(Names.RejectedPredictionTokens, 0);
        _json.WriteEndObject();
        _json.WriteEndObject();
    }
}
