using System.Text.Json.Serialization;
using Serverless.Requests;

namespace Serverless.Files;

/// <summary>A file: its bytes are in the store, whole and durable, and never change. As the document store keeps it.</summary>
public sealed record StoredFile
{
    /// <summary>Its <see cref="FileId"/>.</summary>
    public required string Id { get; init; }

    /// <summary>Whose it is. All keys of its team may read and delete it.</summary>
    public required Owner Owner { get; init; }

    /// <summary>As its client calls it; at most 255 characters, no path.</summary>
    public required string Filename { get; init; }

    /// <summary>One of <see cref="FilePurposes"/>.</summary>
    public required string Purpose { get; init; }

    /// <summary>Its length.</summary>
    public required long Bytes { get; init; }

    /// <summary>Of its bytes, in lower case hex digits.</summary>
    public required string Sha256 { get; init; }

    /// <summary>When it came to be.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>From then on it is not there; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Name of its bytes in the room of files.</summary>
    public required string Content { get; init; }
}

/// <summary>What is told of a file when it is made.</summary>
/// <param name="Filename">As its client calls it.</param>
/// <param name="Purpose">One of <see cref="FilePurposes"/>.</param>
/// <param name="ExpiresAfter">How long it is kept; null: as its purpose says.</param>
public sealed record FileDetails(string Filename, string Purpose, TimeSpan? ExpiresAfter = null)
{
    /// <summary>Whether it is the result of work that was taken: there is room for it, and what it takes counts against files to come.</summary>
    public bool IsOwed { get; init; }
}

/// <summary>Bytes that are durable and no file yet. Published or discarded; else swept a day later.</summary>
/// <param name="Owner">Whose.</param>
/// <param name="Id">Of the file that may come of it.</param>
/// <param name="Content">Name of the bytes.</param>
/// <param name="Bytes">What was kept.</param>
public sealed record FileDraft(Owner Owner, FileId Id, FileKey Content, StoredBytes Bytes);

/// <summary>What of an owner's files is asked for.</summary>
public sealed record FileQuery
{
    /// <summary>Id of the last one that was seen; null: from the start.</summary>
    public string? After { get; init; }

    /// <summary>At most so many.</summary>
    public int Limit { get; init; } = 10_000;

    /// <summary>Whether the oldest come first.</summary>
    public bool OldestFirst { get; init; }

    /// <summary>Those alone; null: all.</summary>
    public string? Purpose { get; init; }
}

/// <summary>How files are stored.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(StoredFile))]
[JsonSerializable(typeof(Dictionary<string, UsedBytes>))]
internal sealed partial class FileJson : JsonSerializerContext;
