using System.Text.Json;
using System.Text.Json.Serialization;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>
/// JSON of what is published between processes of different releases: unknown fields are skipped, missing ones keep their default, so a field may only be added, and never
/// with another meaning.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    IgnoreReadOnlyProperties = true,
    RespectNullableAnnotations = true,
    Converters = [typeof(ModelNameConverter), typeof(PoolNameConverter)])]
[JsonSerializable(typeof(ModelDemand))]
[JsonSerializable(typeof(PoolCapacity))]
[JsonSerializable(typeof(DecisionHistory))]
[JsonSerializable(typeof(SharedPlan))]
[JsonSerializable(typeof(SharedPlan[]))]
internal sealed partial class FeedJson : JsonSerializerContext
{
    internal sealed class ModelNameConverter : JsonConverter<ModelName>
    {
        public override ModelName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetString() ?? throw new JsonException("A model's name is null."));

        public override void Write(Utf8JsonWriter writer, ModelName value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);
    }

    internal sealed class PoolNameConverter : JsonConverter<PoolName>
    {
        public override PoolName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetString() ?? throw new JsonException("A pool's name is null."));

        public override void Write(Utf8JsonWriter writer, PoolName value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);
    }
}
