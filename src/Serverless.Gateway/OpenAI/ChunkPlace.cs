namespace Serverless.Gateway.OpenAI;

/// <summary>Where a chunk belongs in what was read of its choice.</summary>
internal enum ChunkPlace
{
    /// <summary>It follows.</summary>
    Next,

    /// <summary>It was read before.</summary>
    Known,

    /// <summary>A token is missing, comes in part again, or comes after the end.</summary>
    Broken,
}
