using Serverless.Errors;

namespace Serverless.Gateway.Deltas;

/// <summary>A piece of a request's output: the part that its stream over HTTP has, numbered. The same part has the same number, whoever makes it.</summary>
internal sealed record OutputDelta
{
    /// <summary>1, 2, 3 … without a gap, up to the last one.</summary>
    public long Sequence { get; init; }

    /// <summary>Of which choice.</summary>
    public int Choice { get; init; }

    /// <summary>What there is more of its text; empty where this piece has none.</summary>
    public string Text { get; init; } = "";

    /// <summary>OpenAI's chunk, as JSON. Null: of the last one.</summary>
    public string? Body { get; init; }

    /// <summary>Nothing comes after it.</summary>
    public bool IsLast { get; init; }

    /// <summary>Of the last one: why the output is not whole; null: it is.</summary>
    public ServingFault? Fault { get; init; }
}
