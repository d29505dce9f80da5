using System.Text.Json.Serialization;

namespace Serverless.Gateway.Promises;

/// <summary>How records are stored.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(RequestRecord))]
internal sealed partial class RecordJson : JsonSerializerContext;
