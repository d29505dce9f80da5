using Serverless.Inference.Models;

namespace Serverless.Inference.Batching;

/// <summary>
/// Who waits, who runs, and who holds which pages of the cache. By lane first; of one lane who is due first is let in first, and who came last gives way first. Used by the
/// engine's thread alone.
/// </summary>
internal sealed class Admission(KeyValuePool pages, int maxSequences)
{
    /// <summary>As many tokens as it is worth waiting for, where another is about to compute them.</summary>
    private const int WorthWaiting = 4;

    private readonly List<Sequence> _waiting = [];
    private readonly List<Sequence> _running = [];
    private long _arrived;

    /// <summary>Those that run, of one lane in the order in which they came; the last gives way first.</summary>
    public List<Sequence> Running => _running;

    /// <summary>How many wait.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>How often a sequence has given its room to others.</summary>
    public int Preemptions { get; private set; }

    public void Add(Sequence sequence)
    {
        (sequence.Number, sequence.Root) = (_arrived++, pages.RootOf(sequence.Tenant));
        Insert(_waiting, sequence, Sequence.ByDue);
    }

    /// <summary>Ends those that nobody wants any more.</summary>
    public void DropCancelled()
    {
        for (var i = _waiting.Count - 1; i >= 0; i--)
        {
            if (!_waiting[i].CancellationToken.IsCancellationRequested) continue;
            _waiting[i].Drop();
            _waiting.RemoveAt(i);
        }

        for (var i = _running.Count - 1; i >= 0; i--)
        {
            if (!_running[i].CancellationToken.IsCancellationRequested) continue;
            _running[i].Drop();
            Release(_running[i]);
        }
    }

    /// <summary>
    /// Takes in, in order, what has a slot and room for all it has to compute; lower lanes give way. One whose tokens another is reading waits for them; those behind it need not.
    /// </summary>
    public void Admit()
    {
        for (var i = 0; i < _waiting.Count;)
        {
            var sequence = _waiting[i];
            if (_running.Count < maxSequences && IsBeingRead(sequence)) i++;
            else if (TryPlace(sequence) || TryPlaceInsteadOfLower(sequence)) _waiting.Remove(sequence);
            else return;
        }
    }

    /// <summary>A page more for a sequence that needs one; the last of all gives way. One that is alone always fits: the context is no longer than the cache.</summary>
    public bool MakeRoom(Sequence sequence)
    {
        while (!pages.TryGrow(sequence.Pages, sequence.Count))
        {
            var last = _running[^1];
            GiveWay(last);
            if (last == sequence) return false;
        }

        return true;
    }

    /// <summary>It runs no more. What it has computed is kept for whoever begins alike, as long as there is room; the last page as far as it is filled.</summary>
    public void Release(Sequence sequence)
    {
        var (index, part) = (sequence.Computed / KeyValuePage.Tokens, sequence.Computed % KeyValuePage.Tokens);
        if (part > 0 && sequence.Sealed == index) pages.TrySeal(sequence.Pages, index, sequence.Text.Slice(index * KeyValuePage.Tokens, part), sequence.Root);
        _running.Remove(sequence);
        pages.Return(sequence.Pages);
        sequence.Computed = sequence.Sealed = 0;
    }

    /// <summary>Ends everything with an error.</summary>
    public void Fail(Exception reason)
    {
        foreach (var sequence in _waiting.Concat(_running)) sequence.Steps.Writer.TryComplete(reason);
        _waiting.Clear();
        _running.Clear();
    }

    /// <summary>Whether one that runs has begun as this does and has not come to where they part.</summary>
    private bool IsBeingRead(Sequence sequence)
    {
        foreach (var other in _running)
        {
            if (other.Missing <= 1 || other.Lane > sequence.Lane || other.Root != sequence.Root) continue;
            var common = sequence.Reusable.CommonPrefixLength(other.Text);
            if (common - other.Computed >= WorthWaiting) return true;
        }

        return false;
    }

    /// <summary>Shares the pages of what is computed already; a page is left for each that runs, or one of them would have to give way at once.</summary>
    private bool TryPlace(Sequence sequence)
    {
        if (_running.Count >= maxSequences) return false;

        var matched = pages.Match(sequence.Reusable, sequence.Pages, sequence.Root);
        var (like, common) = FindLike(sequence, matched);
        if (!TryGrow(sequence, like))
        {
            // Where every page is needed the one to copy is too: it is computed anew.
            if (like is null || !TryGrow(sequence, null))
            {
                pages.Return(sequence.Pages);
                return false;
            }

            common = 0;
        }

        sequence.Sealed = matched / KeyValuePage.Tokens;
        sequence.Begin(matched + common);
        Insert(_running, sequence, Sequence.ByArrival);
        return true;
    }

    /// <summary>Pages for all it has to compute, the first of them a copy of <paramref name="like"/>, which is held meanwhile.</summary>
    private bool TryGrow(Sequence sequence, KeyValuePage? like)
    {
        if (like is not null) pages.Hold(like);
        var shared = sequence.Pages.Count;
        var fits = KeyValuePool.Pages(sequence.Count) - shared + _running.Count <= pages.Available && pages.TryGrow(sequence.Pages, sequence.Count);
        if (like is null) return fits;

        if (fits) sequence.Pages[shared].Copy(like);
        pages.Drop(like);
        return fits;
    }

    /// <summary>Of the page after those that match, who has the longest part, and how much of it.</summary>
    private (KeyValuePage? Page, int Common) FindLike(Sequence sequence, int matched)
    {
        var rest = sequence.Reusable[matched..];
        if (rest.IsEmpty) return (null, 0);

        var index = matched / KeyValuePage.Tokens;
        var (page, common) = pages.FindLike(sequence.Pages, rest, sequence.Root);
        foreach (var other in _running)
        {
            if (other.Computed <= matched || (index > 0 ? other.Pages[index - 1] != sequence.Pages[index - 1] : other.Root != sequence.Root)) continue;
            var shared = rest.CommonPrefixLength(other.Text[matched..Math.Min(other.Computed, matched + KeyValuePage.Tokens)]);
            if (shared > common) (page, common) = (other.Pages[index], shared);
        }

        return common > 0 ? (page, common) : (null, 0);
    }

    /// <summary>Where room for one of a higher lane can be made by lower ones, those that came last give way.</summary>
    private bool TryPlaceInsteadOfLower(Sequence sequence)
    {
        var (room, kept) = (pages.Available, 0);
        foreach (var other in _running)
        {
            if (other.Lane > sequence.Lane) room += other.Pages.Count;
            else kept++;
        }

        if (kept >= maxSequences || KeyValuePool.Pages(sequence.Count) + kept > room) return false;
        while (_running.Count > 0 && _running[^1].Lane > sequence.Lane)
        {
            GiveWay(_running[^1]);
            if (TryPlace(sequence)) return true;
        }

        return false;
    }

    private void GiveWay(Sequence sequence)
    {
        Release(sequence);
        Preemptions++;
        Insert(_waiting, sequence, Sequence.ByDue);
    }

    private static void Insert(List<Sequence> sequences, Sequence sequence, Comparison<Sequence> order)
    {
        var at = sequences.Count;
        while (at > 0 && order(sequences[at - 1], sequence) > 0) at--;
        sequences.Insert(at, sequence);
    }
}
