using Serverless.Inference.Weights;

namespace Serverless.Inference.Safetensors;

/// <summary>A safetensors file, or a file of the folder it lies in, that cannot be read: the message names the file, the field, its value and what is allowed.</summary>
public sealed class SafetensorsException : ModelFileException
{
    /// <summary>What a parser says, which may hold a stretch of the file.</summary>
    internal static string Short(string text) => text.Length <= 300 ? text : text[..300] + "…";

    /// <summary>States the fault.</summary>
    public SafetensorsException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
