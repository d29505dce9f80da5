namespace Serverless.Inference.Models;

/// <summary>The KV cache: pages taken by sequences and given back. Memory is allocated as pages are first needed. Not thread-safe.</summary>
internal sealed class KeyValuePool(ModelConfig config, int capacityTokens) : IDisposable
{
    private readonly Stack<KeyValuePage> _free = [];
    private readonly List<KeyValuePage> _all = [];

    /// <summary>Pages it may have.</summary>
    public int Capacity { get; } = Math.Max(1, capacityTokens / KeyValuePage.Tokens);

    /// <summary>Pages that sequences hold.</summary>
    public int Used => _all.Count - _free.Count;

    public int Available => Capacity - Used;

    /// <summary>Pages that <paramref name="tokens"/> tokens take.</summary>
    public static int Pages(int tokens) => (tokens + KeyValuePage.Tokens - 1) / KeyValuePage.Tokens;

    /// <summary>Grows <paramref name="pages"/> to hold <paramref name="tokens"/> tokens; false, with nothing taken, when there are not enough pages.</summary>
    public bool TryGrow(List<KeyValuePage> pages, int tokens)
    {
        var needed = Pages(tokens) - pages.Count;
        if (needed > Available) return false;
        for (; needed > 0; needed--) pages.Add(Take());
        return true;
    }

    public void Return(List<KeyValuePage> pages)
    {
        foreach (var page in pages) _free.Push(page);
        pages.Clear();
    }

    public void Dispose()
    {
        foreach (var page in _all) page.Dispose();
    }

    private KeyValuePage Take()
    {
        if (_free.TryPop(out var page)) return page;
        page = new KeyValuePage(config);
        _all.Add(page);
        return page;
    }
}
