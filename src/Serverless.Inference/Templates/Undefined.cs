namespace Serverless.Inference.Templates;

/// <summary>The value of a name that nobody gave: false, empty, and no error until it is used as something.</summary>
internal sealed class Undefined
{
    private Undefined()
    {
    }

    public static Undefined Value { get; } = new();
}
