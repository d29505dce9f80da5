using System.Text.Json;
using System.Text.Json.Serialization;

namespace Serverless.Hosting.Dapr;

/// <summary>
/// A page of a tenant's index, oldest entry first. The newest page is the head: it takes new entries and knows the others.
/// </summary>
internal sealed partial record IndexPage
{
    public const int Capacity = 256;

    [JsonPropertyName("v")]
    public int Version { get; init; } = 1;

    public long Number { get; init; }

    /// <summary>Only in the head: numbers of the other pages, oldest first; some of them may have outlived their time.</summary>
    public IReadOnlyList<long> Pages { get; init; } = [];

    public IReadOnlyList<IndexEntry> Entries { get; init; } = [];

    /// <summary>When the last of its documents is gone, in ms since 1970; null: never.</summary>
    [JsonIgnore]
    public long? KeptUntil => Entries.Any(entry => entry.KeptUntil is null) ? null : Entries.Count == 0 ? 0 : Entries.Max(entry => entry.KeptUntil);

    public IndexEntry? Find(string id) => Entries.FirstOrDefault(entry => entry.Id == id);

    public IndexPage Without(Func<IndexEntry, bool> gone) => this with { Entries = [.. Entries.Where(entry => !gone(entry))] };

    public byte[] Encode() => JsonSerializer.SerializeToUtf8Bytes(this, Json.Default.IndexPage);

    public static IndexPage Decode(ReadOnlyMemory<byte> bytes) => JsonSerializer.Deserialize(bytes.Span, Json.Default.IndexPage) ?? new IndexPage();

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
    [JsonSerializable(typeof(IndexPage))]
    private sealed partial class Json : JsonSerializerContext;
}
