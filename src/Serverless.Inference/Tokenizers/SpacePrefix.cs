namespace Serverless.Inference.Tokenizers;

/// <summary>Where text gets a space in front.</summary>
internal enum SpacePrefix
{
    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>At the beginning of a prompt.</summary>
    First,

    /// <summary>There, and after each control token.</summary>
    Each,
}
