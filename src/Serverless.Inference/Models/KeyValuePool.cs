using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>
/// The KV cache: pages of one slab, taken by sequences, counted, and given back. A page is free, held, or at rest: full, held by nobody, and kept for whoever begins as its tokens do, until its
/// memory is needed. Memory is taken from the machine as pages are first used. Not thread-safe.
/// </summary>
internal sealed unsafe class KeyValuePool : IDisposable
{
    private readonly KeyValueLayout _layout;
    private readonly NativeMemoryBlock _slab;
    private readonly Stack<KeyValuePage> _free = [];
    private readonly PrefixTree _tree = new();
    private readonly Dictionary<string, int> _roots = new(StringComparer.Ordinal) { [""] = PrefixTree.Root };
    private int _made;

    /// <param name="config">The model's sizes.</param>
    /// <param name="capacityTokens">Tokens it holds, and what is left of the last page.</param>
    /// <param name="format">How they are kept.</param>
    /// <exception cref="OutOfMemoryException">The machine has no room for so many.</exception>
    public KeyValuePool(ModelConfig config, int capacityTokens, KeyValueFormat format = KeyValueFormat.F16)
    {
        Capacity = Math.Max(1, Pages(capacityTokens));
        _layout = new KeyValueLayout(config, format);
        _slab = new NativeMemoryBlock(Capacity * _layout.PageBytes);
    }

    /// <summary>Pages it may have.</summary>
    public int Capacity { get; }

    /// <summary>Pages that sequences hold.</summary>
    public int Used { get; private set; }

    /// <summary>Pages at rest.</summary>
    public int Resting => _tree.Resting;

    /// <summary>Pages that can be had.</summary>
    public int Available => Capacity - Used;

    /// <summary>Pages that <paramref name="tokens"/> tokens take.</summary>
    public static int Pages(int tokens) => (tokens + KeyValuePage.Tokens - 1) / KeyValuePage.Tokens;

    /// <summary>Where a tenant's texts begin in the tree: pages of different tenants are never the same, whatever is in them. There are no more of these than there ever were tenants.</summary>
    public int RootOf(string tenant)
    {
        if (!_roots.TryGetValue(tenant, out var root)) _roots[tenant] = root = PrefixTree.Root - _roots.Count;
        return root;
    }

    /// <summary>Takes the full pages that are known of a text's beginning; returns how many tokens they hold.</summary>
    /// <param name="text">The text.</param>
    /// <param name="pages">Empty; afterwards those pages.</param>
    /// <param name="root">Where the text begins (<see cref="RootOf"/>).</param>
    public int Match(ReadOnlySpan<int> text, List<KeyValuePage> pages, int root = PrefixTree.Root)
    {
        var last = root;
        for (var at = 0; at + KeyValuePage.Tokens <= text.Length; at += KeyValuePage.Tokens)
        {
            if (_tree.Find(last, text.Slice(at, KeyValuePage.Tokens)) is not { } page) break;
            Hold(page);
            pages.Add(page);
            last = page.Index;
        }

        return pages.Count * KeyValuePage.Tokens;
    }

    /// <summary>A full page that goes on from those as the text does, and for how many tokens; null if none is known.</summary>
    public (KeyValuePage? Page, int Common) FindLike(List<KeyValuePage> pages, ReadOnlySpan<int> rest, int root = PrefixTree.Root) => _tree.FindLike(pages.Count > 0 ? pages[^1].Index : root, rest);

    /// <summary>Grows <paramref name="pages"/> to hold <paramref name="tokens"/> tokens; false, with nothing taken, when there are not enough pages.</summary>
    public bool TryGrow(List<KeyValuePage> pages, int tokens)
    {
        var needed = Pages(tokens) - pages.Count;
        if (needed > Available) return false;
        for (; needed > 0; needed--) pages.Add(Take());
        return true;
    }

    /// <summary>
    /// The n-th page has these tokens and is never written again: others may share it if it is full, else copy it. Where one like it is known, that takes its place. False: it stays its
    /// sequence's own, and so do all after it.
    /// </summary>
    public bool TrySeal(List<KeyValuePage> pages, int index, ReadOnlySpan<int> tokens, int root = PrefixTree.Root)
    {
        var (page, parent) = (pages[index], index > 0 ? pages[index - 1].Index : root);
        if (_tree.Find(parent, tokens) is not { } known) return _tree.TryAdd(page, parent, tokens);

        Hold(known);
        pages[index] = known;
        Drop(page);
        return true;
    }

    public void Return(List<KeyValuePage> pages)
    {
        for (var i = pages.Count - 1; i >= 0; i--) Drop(pages[i]);
        pages.Clear();
    }

    public void Hold(KeyValuePage page)
    {
        if (page.References++ > 0) return;
        Used++;
        _tree.Wake(page);
    }

    public void Drop(KeyValuePage page)
    {
        if (--page.References > 0) return;
        Used--;
        if (page.Node is null) _free.Push(page);
        else _tree.Rest(page);
    }

    public void Dispose() => _slab.Dispose();

    private KeyValuePage Take()
    {
        if (!_free.TryPop(out var page)) page = _made < Capacity ? new KeyValuePage(_layout, _slab.Bytes + (_made * _layout.PageBytes), _made++) : _tree.Evict();
        page.References = 1;
        Used++;
        return page;
    }
}
