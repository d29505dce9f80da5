namespace Serverless.Inference.Models;

/// <summary>A model file whose architecture or shapes this engine does not run: the message names what it found and what it runs.</summary>
public sealed class ModelException : Exception
{
    /// <summary>States the fault.</summary>
    public ModelException(string message)
        : base(message)
    {
    }
}
