namespace Serverless.Requests;

/// <summary>
/// Which API a request's body is of: OpenAI's path without <c>/v1/</c>. It travels as this text; whoever meets one that it does not know says so and leaves the request to others.
/// </summary>
/// <param name="Value">For example <c>chat/completions</c>.</param>
public readonly record struct EndpointName(string Value)
{
    /// <summary><c>POST /v1/chat/completions</c>.</summary>
    public static EndpointName ChatCompletions { get; } = new("chat/completions");

    /// <summary><c>POST /v1/completions</c>.</summary>
    public static EndpointName Completions { get; } = new("completions");

    /// <summary>Whether this release can run it; else a request of it is not understood here.</summary>
    public bool IsKnown => this == ChatCompletions || this == Completions;

    /// <inheritdoc/>
    public override string ToString() => Value;
}
