namespace Serverless.Inference.Models;

/// <summary>Whether a kind of model has something.</summary>
internal enum Presence
{
    /// <summary>It has none; a tensor of that name is refused.</summary>
    Never,

    /// <summary>Some models of the kind have it.</summary>
    May,

    /// <summary>It cannot be without.</summary>
    Must,
}
