namespace Serverless.Inference.Models;

/// <summary>What query and key heads are normalised by.</summary>
internal enum HeadNorm
{
    /// <summary>They are not.</summary>
    None,

    /// <summary>Each head by itself.</summary>
    Head,

    /// <summary>All heads of a token together.</summary>
    Whole,
}
