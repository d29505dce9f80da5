namespace Serverless.Inference.Batching;

/// <summary>Why a generation ended.</summary>
public enum GenerationFinish
{
    /// <summary>The model ended it, or a stop string matched.</summary>
    Stop,

    /// <summary>The cap or the context was reached.</summary>
    Length,
}
