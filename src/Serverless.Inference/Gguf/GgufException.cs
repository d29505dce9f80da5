using Serverless.Inference.Weights;

namespace Serverless.Inference.Gguf;

/// <summary>A GGUF file that cannot be read: the message names the file, the field, its value and what is allowed.</summary>
public sealed class GgufException : ModelFileException
{
    /// <summary>States the fault.</summary>
    public GgufException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
