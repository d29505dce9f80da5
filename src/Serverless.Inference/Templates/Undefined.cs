namespace Serverless.Inference.Templates;

/// <summary>The value of a name that nobody gave: false, empty, and no error until it is used as something.</summary>
internal sealed class Undefined
{
    private Undefined()
    {
    }

    public static Undefined Value { get; } = new();
}

/// <summary>
/// The content of an assistant's message that has none beside its tool calls: none to every test, and no text where it is written or joined. Templates that look at it
/// find what OpenAI means, and those that do not look write nothing, not <c>None</c>.
/// </summary>
internal sealed class NoContent
{
    private NoContent()
    {
    }

    public static NoContent Value { get; } = new();
}
