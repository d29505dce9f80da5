using System.Text.Json;
using System.Text.Json.Serialization;
using Serverless.Requests;

namespace Serverless.Batches;

/// <summary>A batch and how far it is: one document, so that what ran, where its results are and what it counts are one commit. As the document store keeps it; a field is only ever added.</summary>
public sealed record Batch
{
    /// <summary>Its <see cref="BatchId"/>.</summary>
    public required string Id { get; init; }

    /// <summary>Whose it is. All keys of its team may read and cancel it.</summary>
    public required Owner Owner { get; init; }

    /// <summary>The path that all its lines ask for, as its client wrote it.</summary>
    public required string Endpoint { get; init; }

    /// <summary>Its input. Read once, while it is validated.</summary>
    public required string InputFileId { get; init; }

    /// <summary>As its client wrote it.</summary>
    public required string CompletionWindow { get; init; }

    /// <summary>As its client wrote it, or null.</summary>
    public JsonElement? Metadata { get; init; }

    /// <summary>How long its files are kept; null: as files of batches are.</summary>
    public TimeSpan? OutputExpiresAfter { get; init; }

    /// <summary>Trace context of the call that created it, or null.</summary>
    public string? TraceParent { get; init; }

    /// <summary>Where it is.</summary>
    public BatchStatus Status { get; init; }

    /// <summary>When it came.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The end of its window.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>When its lines began.</summary>
    public DateTimeOffset? InProgressAt { get; init; }

    /// <summary>When its files began to be made.</summary>
    public DateTimeOffset? FinalizingAt { get; init; }

    /// <summary>When it was given up.</summary>
    public DateTimeOffset? CancellingAt { get; init; }

    /// <summary>When it came to its end, whichever.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>What is wrong with its input.</summary>
    public IReadOnlyList<BatchError> Errors { get; init; } = [];

    /// <summary>The model of its lines, where all have the same.</summary>
    public string? Model { get; init; }

    /// <summary>The file of what its lines were answered; null until it is there, and where none were.</summary>
    public string? OutputFileId { get; init; }

    /// <summary>The file of what went wrong with lines; null until it is there, and where nothing did.</summary>
    public string? ErrorFileId { get; init; }

    /// <summary>Whether its window was over before all had run.</summary>
    public bool HasExpired { get; init; }

    /// <summary>How far it is.</summary>
    public BatchProgress Progress { get; init; } = new();

    /// <summary>Fields of a later release, written back as they came.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Later { get; set; }

    /// <summary>Whether nothing of it changes any more.</summary>
    [JsonIgnore]
    public bool HasEnded => Status is BatchStatus.Failed or BatchStatus.Completed or BatchStatus.Expired or BatchStatus.Cancelled;

    /// <summary>Whether this is what <paramref name="other"/> asks for.</summary>
    public bool IsAskedBy(Batch other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return (InputFileId, Endpoint, CompletionWindow, OutputExpiresAfter) == (other.InputFileId, other.Endpoint, other.CompletionWindow, other.OutputExpiresAfter)
            && (Metadata is { } metadata ? other.Metadata is { } others && JsonElement.DeepEquals(metadata, others) : other.Metadata is null);
    }
}

/// <summary>Something wrong with a batch's input.</summary>
/// <param name="Code">A word for programs.</param>
/// <param name="Message">What, the value, the limit, and what to do.</param>
/// <param name="Line">Of the input, from 1; null: of no line.</param>
/// <param name="Param">The field; null: none.</param>
public sealed record BatchError(string Code, string Message, int? Line = null, string? Param = null);

/// <summary>How far a batch is. What counts is what is in its segments: a line that ran and is in none runs again.</summary>
public sealed record BatchProgress
{
    /// <summary>Of whoever runs it: an earlier one commits nothing any more.</summary>
    public long Epoch { get; init; }

    /// <summary>What the pieces of its plan are called; empty: it has none yet. Of the one run that made it, so that another that validates at the same time does not touch it.</summary>
    public string Plan { get; init; } = "";

    /// <summary>The first line of each piece of its plan, from 0.</summary>
    public IReadOnlyList<int> Pieces { get; init; } = [];

    /// <summary>Lines in all.</summary>
    public int Total { get; init; }

    /// <summary>Lines that were answered.</summary>
    public int Completed { get; init; }

    /// <summary>Lines that were not.</summary>
    public int Failed { get; init; }

    /// <summary>Which lines are in a segment, a bit each.</summary>
    public byte[] Done { get; init; } = [];

    /// <summary>Names of segments of answers, in order.</summary>
    public IReadOnlyList<string> Outputs { get; init; } = [];

    /// <summary>Names of segments of errors, in order.</summary>
    public IReadOnlyList<string> Faults { get; init; } = [];

    /// <summary>Prompt tokens of what was answered.</summary>
    public long InputTokens { get; init; }

    /// <summary>Of those, out of a cache.</summary>
    public long CachedTokens { get; init; }

    /// <summary>Tokens of the answers.</summary>
    public long OutputTokens { get; init; }

    /// <summary>Fields of a later release, written back as they came.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Later { get; set; }

    /// <summary>Whether a line is in a segment.</summary>
    public bool IsDone(int line) => line >> 3 < Done.Length && (Done[line >> 3] & (1 << (line & 7))) != 0;

    /// <summary>Whether segments of these names, written together (null: there is none of that kind), are in it.</summary>
    public bool Names(string? outputs, string? faults) => outputs is not null ? Outputs.Contains(outputs) : faults is not null && Faults.Contains(faults);

    /// <summary>With those lines done too.</summary>
    public byte[] DoneWith(IEnumerable<int> lines)
    {
        ArgumentNullException.ThrowIfNull(lines);
        var done = new byte[(Total + 7) / 8];
        Done.CopyTo(done, 0);
        foreach (var line in lines) done[line >> 3] |= (byte)(1 << (line & 7));
        return done;
    }
}

/// <summary>One that is not at its end, as those see it who choose which to run. It never changes.</summary>
/// <param name="Id">Its <see cref="BatchId"/>.</param>
/// <param name="Organization">Of its owner.</param>
/// <param name="Scope">The same, with the team.</param>
/// <param name="CreatedAt">When it was named.</param>
/// <param name="ExpiresAt">The end of its window.</param>
public sealed record OpenBatch(string Id, string Organization, string Scope, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt);

/// <summary>How batches are stored.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(Batch))]
[JsonSerializable(typeof(OpenBatch))]
internal sealed partial class BatchJson : JsonSerializerContext;
