namespace Serverless.Inference.Weights;

/// <summary>A file of a model that is missing, truncated or malformed: the message names the file, the field, the value and the limit.</summary>
public abstract class ModelFileException : Exception
{
    /// <summary>States the fault.</summary>
    protected ModelFileException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
