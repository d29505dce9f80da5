using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;

namespace Serverless.Hosting.Dapr;

/// <summary>A document as the state store holds it: <c>{"v":1,"tag":…,"page":…,"at":…,"kept":…,"expires":…,"document":{…}}</c>. A later release may add fields; they are passed over.</summary>
internal sealed record StoredDocument
{
    private const int Version = 1;

    /// <summary>Drawn anew at every save, so that it is known without reading back and is never another writer's.</summary>
    public string Tag { get; init; } = RandomNumberGenerator.GetHexString(16, lowercase: true);

    /// <summary>Where its index entry is.</summary>
    public required IndexPlace Place { get; init; }

    /// <summary>When it is gone, in ms since 1970; null: never. Stores count whole seconds, this does not.</summary>
    public long? ExpiresAt { get; init; }

    public required ReadOnlyMemory<byte> Json { get; init; }

    public byte[] Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(Json.Length + 160);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("v", Version);
            json.WriteString("tag", Tag);
            json.WriteNumber("page", Place.Page);
            json.WriteNumber("at", Place.At);
            if (Place.KeptUntil is { } kept) json.WriteNumber("kept", kept);
            if (ExpiresAt is { } expires) json.WriteNumber("expires", expires);
            json.WritePropertyName("document");
            json.WriteRawValue(Json.Span);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <exception cref="InvalidDataException">Something else wrote there.</exception>
    public static StoredDocument Decode(string key, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var json = JsonDocument.Parse(bytes);
            var root = json.RootElement;
            return new StoredDocument
            {
                Tag = root.GetProperty("tag").GetString()!,
                Place = new IndexPlace(root.GetProperty("page").GetInt64(), root.GetProperty("at").GetInt64(), Number(root, "kept")),
                ExpiresAt = Number(root, "expires"),
                Json = JsonSerializer.SerializeToUtf8Bytes(root.GetProperty("document")),
            };
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException($"The state store holds {bytes.Length} bytes under '{key}' that are no document of ours; give this system a store or key prefix of its own.", exception);
        }
    }

    private static long? Number(JsonElement root, string name) => root.TryGetProperty(name, out var value) ? value.GetInt64() : null;
}
