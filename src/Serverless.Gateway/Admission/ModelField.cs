using System.Text.Json;

namespace Serverless.Gateway.Admission;

/// <summary>The field <c>model</c> of a body, set without touching anything else of it.</summary>
internal static class ModelField
{
    /// <summary>The body with that model; as it came where it is no object: admission says what is wrong with it.</summary>
    public static byte[] Set(byte[] body, string model)
    {
        var value = JsonSerializer.SerializeToUtf8Bytes(model, EchoJson.Default.String);
        try
        {
            var reader = new Utf8JsonReader(body);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return body;

            var open = (int)reader.BytesConsumed;
            var isEmpty = true;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                isEmpty = false;
                var isModel = reader.ValueTextEquals("model"u8);
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                if (isModel) return [.. body.AsSpan(0, start), .. value, .. body.AsSpan((int)reader.BytesConsumed)];
            }

            return [.. body.AsSpan(0, open), .. "\"model\":"u8, .. value, .. isEmpty ? ""u8 : ","u8, .. body.AsSpan(open)];
        }
        catch (JsonException)
        {
            return body;
        }
    }
}
