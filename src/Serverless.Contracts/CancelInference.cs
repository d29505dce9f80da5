namespace Serverless.Contracts;

/// <summary>
/// Cancels an inference, queued or running, that is named in one of three ways. Who asked for it hears an <see cref="InferenceFailed"/> with code <c>request_cancelled</c>, and so does who
/// cancels, where that one waits for a response; of what had ended before, the result.
/// </summary>
public sealed record CancelInference
{
    /// <summary>By its id.</summary>
    public string? InferenceId { get; init; }

    /// <summary>By the <c>MessageId</c> of its <see cref="SubmitInference"/>.</summary>
    public Guid? SubmitMessageId { get; init; }

    /// <summary>By its <see cref="SubmitInference.IdempotencyKey"/>.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>Why; for the log. Null: not told.</summary>
    public string? Reason { get; init; }
}
