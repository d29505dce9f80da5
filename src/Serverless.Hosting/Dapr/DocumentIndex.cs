using Serverless.Errors;

namespace Serverless.Hosting.Dapr;

/// <summary>
/// The ids of one tenant's documents of one collection, in pages that are changed by compare-and-set; Dapr has no query that all stores have. Thread-safe, and safe beside other processes.
/// </summary>
/// <remarks>
/// An entry is written before its document and removed after it, so a document is never missing here; an entry without its document is passed over by readers and swept away by them.
/// Additions of this process that wait for each other share one write.
/// </remarks>
internal sealed class DocumentIndex(string prefix, DaprState state, TimeProvider time)
{
    private const int MaxTries = 50;
    private const int PagesCheckedPerRollover = 4;

    /// <summary>An entry without a document is only swept when no writer can still be between the two.</summary>
    private static readonly TimeSpan SweepAge = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan KeptRounding = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private List<Addition> _waiting = [];
    private bool _writing;

    /// <summary>Adds an id as the newest; one that is in the newest page already is moved to the end.</summary>
    public Task<IndexPlace> AddAsync(string id, long? expiresAt, CancellationToken cancellationToken)
    {
        var addition = new Addition(id, RoundUp(expiresAt));
        lock (_lock)
        {
            _waiting.Add(addition);
            if (!_writing)
            {
                _writing = true;
                _ = Task.Run(WriteAsync, CancellationToken.None);
            }
        }

        return addition.Done.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Makes sure that the entry is kept as long as its document; returns where it is now.</summary>
    public async Task<IndexPlace> KeepAsync(string id, IndexPlace place, long? expiresAt, CancellationToken cancellationToken)
    {
        if (place.KeptUntil is null || expiresAt <= place.KeptUntil) return place;

        var kept = RoundUp(expiresAt);
        var there = await ChangeAsync(place.Page, page => page.Find(id) is null ? null : page with { Entries = [.. page.Entries.Select(entry => entry.Id == id ? entry with { KeptUntil = kept } : entry)] }, cancellationToken);
        return there ? place with { KeptUntil = kept } : await AddAsync(id, expiresAt, cancellationToken);
    }

    public Task RemoveAsync(string id, IndexPlace place, CancellationToken cancellationToken) =>
        ChangeAsync(place.Page, page => page.Find(id) is { } entry && entry.At == place.At ? page.Without(gone => gone == entry) : null, cancellationToken);

    /// <summary>Ids newest first from after <paramref name="after"/>; <paramref name="exists"/> says whether a document has its entry in that page.</summary>
    public async Task<IReadOnlyList<string>> ListAsync(string? after, int limit, Func<string, long, Task<bool>> exists, CancellationToken cancellationToken)
    {
        List<string> ids = [];
        var found = after is null;
        var head = await ReadAsync(HeadKey, cancellationToken);
        if (head is null) return ids;

        foreach (var number in head.Value.Page.Pages.Append(head.Value.Page.Number).Reverse())
        {
            var page = number == head.Value.Page.Number ? head : await ReadAsync(PageKey(number), cancellationToken);
            if (page is null) continue;

            var candidates = page.Value.Page.Entries.Reverse().ToList();
            if (!found)
            {
                var position = candidates.FindIndex(entry => entry.Id == after);
                if (position < 0) continue;
                candidates.RemoveRange(0, position + 1);
                found = true;
            }

            await TakeAsync(number, candidates, ids, limit, exists, cancellationToken);
            if (ids.Count >= limit) break;
        }

        return ids;
    }

    private string HeadKey => prefix;

    private string PageKey(long number) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{prefix}/{number}");

    private async Task TakeAsync(long number, List<IndexEntry> candidates, List<string> ids, int limit, Func<string, long, Task<bool>> exists, CancellationToken cancellationToken)
    {
        List<IndexEntry> dead = [];
        var old = (time.GetUtcNow() - SweepAge).ToUnixTimeMilliseconds();
        for (var next = 0; next < candidates.Count && ids.Count < limit;)
        {
            var some = candidates.GetRange(next, Math.Min(limit - ids.Count, candidates.Count - next));
            var live = await Task.WhenAll(some.Select(entry => exists(entry.Id, number)));
            ids.AddRange(some.Where((_, index) => live[index]).Select(entry => entry.Id));
            dead.AddRange(some.Where((entry, index) => !live[index] && entry.At < old));
            next += some.Count;
        }

        if (dead.Count > 0) await ChangeAsync(number, page => page.Entries.Any(dead.Contains) ? page.Without(dead.Contains) : null, cancellationToken);
    }

    /// <summary>Changes a page wherever it is now. False when it is gone or <paramref name="change"/> finds nothing to do.</summary>
    private async Task<bool> ChangeAsync(long number, Func<IndexPage, IndexPage?> change, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < MaxTries; tries++)
        {
            var head = await ReadAsync(HeadKey, cancellationToken);
            var isHead = head?.Page.Number == number;
            var key = isHead ? HeadKey : PageKey(number);
            var current = isHead ? head : await ReadAsync(key, cancellationToken);
            if (current is null || change(current.Value.Page) is not { } changed) return false;
            if (await state.TrySaveAsync(key, changed.Encode(), current.Value.Tag, isHead ? null : TimeToLive(changed), cancellationToken)) return true;
        }

        throw Contended();
    }

    private async Task WriteAsync()
    {
        while (true)
        {
            List<Addition> batch;
            lock (_lock)
            {
                _writing = _waiting.Count > 0;
                if (!_writing) return;
                batch = _waiting[..Math.Min(_waiting.Count, IndexPage.Capacity)];
                _waiting = _waiting[batch.Count..];
            }

            try
            {
                await WriteAsync(batch);
            }
            catch (Exception exception)
            {
                foreach (var addition in batch) addition.Done.TrySetException(exception);
            }
        }
    }

    private async Task WriteAsync(List<Addition> batch)
    {
        for (var tries = 0; tries < MaxTries; tries++)
        {
            var current = await ReadAsync(HeadKey, CancellationToken.None);
            var head = current?.Page ?? new IndexPage();
            if (current is { } full && head.Entries.Count > 0 && head.Entries.Count + batch.Count > IndexPage.Capacity)
            {
                if (await TryTurnOverAsync(head, full.Tag) is not { } next) continue;
                head = next;
            }

            var entries = head.Entries.ToList();
            List<IndexPlace> places = [];
            foreach (var addition in batch)
            {
                var before = entries.FindIndex(entry => entry.Id == addition.Id);
                var at = Math.Max(time.GetUtcNow().ToUnixTimeMilliseconds(), before < 0 ? 0 : entries[before].At + 1);
                if (before >= 0) entries.RemoveAt(before);
                entries.Add(new IndexEntry(addition.Id, at, addition.KeptUntil));
                places.Add(new IndexPlace(head.Number, at, addition.KeptUntil));
            }

            if (!await state.TrySaveAsync(HeadKey, (head with { Entries = entries }).Encode(), current?.Tag, null, CancellationToken.None)) continue;
            for (var index = 0; index < batch.Count; index++) batch[index].Done.TrySetResult(places[index]);
            return;
        }

        throw Contended();
    }

    /// <summary>Copies a full head to its page; the new head, not yet written, knows it. Null when another writer was first.</summary>
    /// <remarks>
    /// The head is looked at again after the page's tag was read: whoever turns over a later head writes the page after that, so that tag stops a copy of the earlier one, which lacks entries.
    /// </remarks>
    private async Task<IndexPage?> TryTurnOverAsync(IndexPage head, string tag)
    {
        var key = PageKey(head.Number);
        var copy = head with { Pages = [] };
        var before = await state.GetAsync(key, CancellationToken.None);
        if ((await state.GetAsync(HeadKey, CancellationToken.None))?.Tag != tag) return null;
        if (!await state.TrySaveAsync(key, copy.Encode(), before?.Tag, TimeToLive(copy), CancellationToken.None)) return null;

        var pages = head.Pages.ToList();
        for (var check = 0; check < PagesCheckedPerRollover && pages.Count > 0; check++)
        {
            var position = (int)((head.Number + check) % pages.Count);
            if (await state.GetAsync(PageKey(pages[position]), CancellationToken.None) is null) pages.RemoveAt(position);
        }

        return new IndexPage { Number = head.Number + 1, Pages = [.. pages, head.Number] };
    }

    private async Task<(IndexPage Page, string Tag)?> ReadAsync(string key, CancellationToken cancellationToken) =>
        await state.GetAsync(key, cancellationToken) is { } stored ? (IndexPage.Decode(stored.Value), stored.Tag) : null;

    private TimeSpan? TimeToLive(IndexPage page) => page.KeptUntil is { } until ? TimeSpan.FromMilliseconds(Math.Max(1000, until - time.GetUtcNow().ToUnixTimeMilliseconds())) : null;

    private static long? RoundUp(long? expiresAt) => expiresAt + (long)KeptRounding.TotalMilliseconds;

    private ServingException Contended() => new(new ServingFault(ServingError.StoreUnavailable, $"The index '{prefix}' changed {MaxTries} times while it was written; try again."));

    private sealed record Addition(string Id, long? KeptUntil)
    {
        public TaskCompletionSource<IndexPlace> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
