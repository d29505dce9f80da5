namespace Serverless.Inference.Templates;

/// <summary>A chat template that cannot be parsed, exceeds its limits, or refuses its messages; the message says where and why.</summary>
public sealed class TemplateException : Exception
{
    /// <summary>States the fault.</summary>
    public TemplateException(string message)
        : base(message)
    {
    }
}
