using System.Text.Json;
using System.Text.Json.Serialization;
using Serverless.Requests;

namespace Serverless.Gateway.Promises;

/// <summary>How records are stored.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(RequestRecord))]
internal sealed partial class RecordJson : JsonSerializerContext;

/// <summary>Endpoints as records have them: version 1 wrote two names of its own, which are read and written still.</summary>
internal sealed class EndpointJson : JsonConverter<EndpointName>
{
    private const string Chat = "ChatCompletion";
    private const string Completion = "Completion";

    public override EndpointName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetString() switch
    {
        Chat => EndpointName.ChatCompletions,
        Completion => EndpointName.Completions,
        var other => new EndpointName(other ?? ""),
    };

    public override void Write(Utf8JsonWriter writer, EndpointName value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value == EndpointName.ChatCompletions ? Chat : value == EndpointName.Completions ? Completion : value.Value);
}
