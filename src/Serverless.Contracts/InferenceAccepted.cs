namespace Serverless.Contracts;

/// <summary>An inference is taken: it is on disk, and its result will come, whatever is lost meanwhile. The answer to a <see cref="SubmitInference"/> with <see cref="SubmitInference.ReplyWithId"/>.</summary>
public sealed record InferenceAccepted
{
    /// <summary>Its id: <c>GET /v1/requests/{id}</c> shows it, <see cref="CancelInference"/> cancels it.</summary>
    public string InferenceId { get; init; } = "";

    /// <summary>As its sender gave it.</summary>
    public Guid? CorrelationId { get; init; }

    /// <summary>Which API takes it: <c>chat/completions</c>.</summary>
    public string Endpoint { get; init; } = "";

    /// <summary>The model, as the catalogue writes it.</summary>
    public string Model { get; init; } = "";

    /// <summary>When it is given up if it has not ended.</summary>
    public DateTimeOffset Deadline { get; init; }

    /// <summary>As its sender gave it.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}
