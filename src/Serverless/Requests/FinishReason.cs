namespace Serverless.Requests;

/// <summary>Why a choice ended, in OpenAI's words; one that this release does not know is passed on as it came.</summary>
/// <param name="Value">For example <c>stop</c>.</param>
public readonly record struct FinishReason(string Value)
{
    /// <summary>The model ended it or a stop string matched.</summary>
    public static FinishReason Stop { get; } = new("stop");

    /// <summary>The cap or the context was reached.</summary>
    public static FinishReason Length { get; } = new("length");

    /// <summary>The model asks for a tool.</summary>
    public static FinishReason ToolCalls { get; } = new("tool_calls");

    /// <inheritdoc/>
    public override string ToString() => Value;
}
