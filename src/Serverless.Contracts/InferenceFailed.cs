namespace Serverless.Contracts;

/// <summary>An inference was refused, failed or was cancelled: there is no answer and there will be none. At least once: the same one has the same <c>MessageId</c>.</summary>
public sealed record InferenceFailed
{
    /// <summary>Its id; empty where it could not even be named.</summary>
    public string InferenceId { get; init; } = "";

    /// <summary>As its sender gave it.</summary>
    public Guid? CorrelationId { get; init; }

    /// <summary>What went wrong, as a word that stays the same: <c>model_not_found</c>, <c>queue_full</c>, <c>request_cancelled</c> …; the list is docs/errors.md.</summary>
    public string Code { get; init; } = "";

    /// <summary>The same as a sentence for people: what, which value, which limit, what to do.</summary>
    public string Message { get; init; } = "";

    /// <summary>The field at fault: one of the body (<c>messages[0].role</c>) or of the message (<c>Endpoint</c>). Null: none is.</summary>
    public string? Param { get; init; }

    /// <summary>Whether the same inference may fare better another time; it then needs a new <c>MessageId</c>, for this one has ended.</summary>
    public bool Retryable { get; init; }

    /// <summary>After how long that is worth it; null: nothing is known.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>As its sender gave it.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}
