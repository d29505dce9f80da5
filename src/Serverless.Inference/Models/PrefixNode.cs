namespace Serverless.Inference.Models;

/// <summary>A page's place in the tree.</summary>
/// <param name="page">The page.</param>
/// <param name="parent">Index of the page before it; for the first of a text, below 0, whose it is.</param>
/// <param name="tokens">The page's tokens.</param>
internal sealed class PrefixNode(KeyValuePage page, int parent, int[] tokens)
{
    public KeyValuePage Page { get; } = page;

    public int Parent { get; } = parent;

    public int[] Tokens { get; } = tokens;

    /// <summary>Its place among those nobody holds; null while somebody does.</summary>
    public LinkedListNode<PrefixNode>? Resting { get; set; }
}
