namespace Serverless.Contracts;

/// <summary>An inference has its answer. At least once: the same one has the same <c>MessageId</c>.</summary>
public sealed record InferenceCompleted
{
    /// <summary>Its id.</summary>
    public string InferenceId { get; init; } = "";

    /// <summary>As its sender gave it.</summary>
    public Guid? CorrelationId { get; init; }

    /// <summary>Which API took it: <c>chat/completions</c>.</summary>
    public string Endpoint { get; init; } = "";

    /// <summary>The model, as the catalogue writes it.</summary>
    public string Model { get; init; } = "";

    /// <summary>The object that the endpoint answers with, as JSON. Null: it is longer than the gateway sends in a message, and <c>GET /v1/requests/{id}</c> has it.</summary>
    public string? Body { get; init; }

    /// <summary>What it cost.</summary>
    public InferenceUsage Usage { get; init; } = new();

    /// <summary>Why each choice ended, in their order: <c>stop</c>, <c>length</c>, <c>tool_calls</c>.</summary>
    public IReadOnlyList<string> FinishReasons { get; init; } = [];

    /// <summary>When it was taken.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it ended.</summary>
    public DateTimeOffset EndedAt { get; init; }

    /// <summary>As its sender gave it.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>What an inference cost, as its engine counted it.</summary>
public sealed record InferenceUsage
{
    /// <summary>Tokens of the prompt, cached ones among them.</summary>
    public long PromptTokens { get; init; }

    /// <summary>Tokens of the output, of all choices.</summary>
    public long CompletionTokens { get; init; }

    /// <summary>Tokens of the prompt that were at hand from earlier ones.</summary>
    public long CachedTokens { get; init; }
}
