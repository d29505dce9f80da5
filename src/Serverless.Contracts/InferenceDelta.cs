namespace Serverless.Contracts;

/// <summary>
/// A piece of an inference's output while it is made, for who asked for them (<see cref="SubmitInference.WantDeltas"/>). They come in order and complete, and may come twice: take the one
/// after the last you took, drop the others. Consume them one at a time (<c>ConcurrentMessageLimit = 1</c>, or partitioned by <see cref="InferenceId"/>), or your own threads change the order.
/// The last one of a stream is <see cref="IsLast"/>; the result comes as its own message all the same.
/// </summary>
public sealed record InferenceDelta
{
    /// <summary>Whose output it is.</summary>
    public string InferenceId { get; init; } = "";

    /// <summary>As its sender gave it.</summary>
    public Guid? CorrelationId { get; init; }

    /// <summary>1, 2, 3 … without a gap, up to the last one.</summary>
    public long Sequence { get; init; }

    /// <summary>Of which choice.</summary>
    public int Choice { get; init; }

    /// <summary>What there is more of its text; empty where this piece has none.</summary>
    public string Text { get; init; } = "";

    /// <summary>The same as OpenAI's streams have it: one chunk as JSON. Null: of the last one.</summary>
    public string? Body { get; init; }

    /// <summary>Nothing comes after it.</summary>
    public bool IsLast { get; init; }

    /// <summary>Of the last one: why the output is not whole (<see cref="InferenceFailed.Code"/>). Null: it is whole.</summary>
    public string? ErrorCode { get; init; }

    /// <summary>The same as a sentence.</summary>
    public string? ErrorMessage { get; init; }
}
