namespace Serverless.Inference.Models;

/// <summary>What a feed-forward layer puts its numbers through.</summary>
internal enum Activation
{
    /// <summary>x·σ(x).</summary>
    Silu,

    /// <summary>GELU by its tanh formula.</summary>
    Gelu,
}
