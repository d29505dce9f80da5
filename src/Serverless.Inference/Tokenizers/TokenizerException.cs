namespace Serverless.Inference.Tokenizers;

/// <summary>A model file whose tokenizer is missing, malformed or of a kind that is not known.</summary>
public sealed class TokenizerException : Exception
{
    /// <summary>States the fault.</summary>
    public TokenizerException(string message)
        : base(message)
    {
    }
}
