using System.Runtime.InteropServices;

namespace Serverless.Inference.Models;

/// <summary>
/// Pages by what is in them: the page before, and their tokens. Whoever begins with the same tokens shares those that are full, and copies of one what is common; what a token gives depends on the tokens before it alone, so shared
/// pages hold the very bits that would be computed. Those nobody holds rest until their memory is needed, the longest unused first. Not thread-safe.
/// </summary>
/// <remarks>
/// Who holds a page holds all before it and lets go of the last first. So a page comes to rest before those it follows, and the one that has rested longest has none behind it.
/// </remarks>
internal sealed class PrefixTree
{
    /// <summary>What stands for the page before the first of a text; so does any number below it, each for texts of its own.</summary>
    public const int Root = -1;

    private readonly Dictionary<(int Parent, int Hash), PrefixNode> _nodes = [];

    // One that begins with the token, the latest: it may share a part.
    private readonly Dictionary<(int Parent, int First), PrefixNode> _latest = [];
    private readonly LinkedList<PrefixNode> _resting = new();

    /// <summary>Pages that nobody holds.</summary>
    public int Resting => _resting.Count;

    /// <summary>The page that has these tokens and follows that one; null if there is none.</summary>
    public KeyValuePage? Find(int parent, ReadOnlySpan<int> tokens) =>
        _nodes.TryGetValue((parent, Hash(tokens)), out var node) && tokens.SequenceEqual(node.Tokens) ? node.Page : null;

    /// <summary>A page that follows that one and begins as the tokens do, and for how many of them; null if none is known.</summary>
    public (KeyValuePage? Page, int Common) FindLike(int parent, ReadOnlySpan<int> tokens) =>
        _latest.TryGetValue((parent, tokens[0]), out var node) ? (node.Page, tokens.CommonPrefixLength(node.Tokens)) : (null, 0);

    /// <summary>Takes in a page that is never written again. False, as good as never: another has its place.</summary>
    public bool TryAdd(KeyValuePage page, int parent, ReadOnlySpan<int> tokens)
    {
        var node = new PrefixNode(page, parent, tokens.ToArray());
        if (!_nodes.TryAdd((node.Parent, Hash(tokens)), node)) return false;

        page.Node = node;
        _latest[(node.Parent, tokens[0])] = node;
        return true;
    }

    /// <summary>Nobody holds it any more.</summary>
    public void Rest(KeyValuePage page) => page.Node!.Resting = _resting.AddLast(page.Node);

    /// <summary>Somebody holds it again.</summary>
    public void Wake(KeyValuePage page)
    {
        _resting.Remove(page.Node!.Resting!);
        page.Node.Resting = null;
    }

    /// <summary>Gives up the page that has rested longest.</summary>
    public KeyValuePage Evict()
    {
        var node = _resting.First!.Value;
        _resting.RemoveFirst();
        _nodes.Remove((node.Parent, Hash(node.Tokens)));
        if (_latest.GetValueOrDefault((node.Parent, node.Tokens[0])) == node) _latest.Remove((node.Parent, node.Tokens[0]));
        node.Page.Node = null;
        return node.Page;
    }

    private static int Hash(ReadOnlySpan<int> tokens)
    {
        var hash = default(HashCode);
        hash.AddBytes(MemoryMarshal.AsBytes(tokens));
        return hash.ToHashCode();
    }
}
