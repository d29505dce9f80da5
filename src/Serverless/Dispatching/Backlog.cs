using Serverless.Demand;
using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// (c) Accepted and not yet assigned requests of one model, in the order in which they are served. Lanes are strict: batch takes what interactive leaves.
/// Inside a lane organizations, their teams and their keys share by tokens: an output token weighs as two prompt tokens. Requests of one conversation come one at a time.
/// Pure: no clock, no I/O. Not thread-safe. Every operation is O(log n), but for a turn by age: it is as far as the turns it comes before.
/// </summary>
internal sealed class Backlog
{
    private const double PromptWeight = 1;
    private const double OutputWeight = 2;

    private readonly FairNode[] _lanes = [new(), new(), new()];
    private readonly long[] _tokensByLane = new long[3];
    private readonly Dictionary<RequestId, BacklogEntry> _pending = [];
    private readonly SortedSet<(DateTimeOffset AcceptedAt, string Id)> _byAge = [];
    private readonly Dictionary<string, (int Requests, long Tokens)> _organizations = new(StringComparer.Ordinal);
    private readonly Dictionary<(Owner Owner, string Conversation), LinkedList<BacklogEntry>> _conversations = [];

    /// <summary>Requests that wait.</summary>
    public int Count => _pending.Count;

    /// <summary>Their prompt tokens.</summary>
    public long PromptTokens { get; private set; }

    /// <summary>Output tokens they are expected to generate.</summary>
    public long OutputTokens { get; private set; }

    /// <summary>The same by deadline.</summary>
    public DueLedger Due { get; } = new();

    /// <summary>Tokens, prompt and expected output, of those that could be next, by lane: what waits for its conversation's turn, or is passed over, is ahead of nobody.</summary>
    public IReadOnlyList<long> TokensByLane => [.. _tokensByLane];

    /// <summary>Sequences they ask for.</summary>
    public int Sequences { get; private set; }

    /// <summary>Their bodies' bytes.</summary>
    public long Bytes { get; private set; }

    /// <summary>When the one that waits longest was accepted.</summary>
    public DateTimeOffset? OldestAt => _byAge.Count > 0 ? _byAge.Min.AcceptedAt : null;

    /// <summary>The organizations that wait for most tokens, at most <paramref name="most"/> of them.</summary>
    public IReadOnlyList<PendingShare> Organizations(int most)
    {
        var shares = _organizations.Select(entry => new PendingShare(entry.Key, entry.Value.Requests, entry.Value.Tokens));
        return [.. _organizations.Count <= most ? shares : shares.OrderByDescending(share => share.Tokens).Take(most)];
    }

    /// <summary>Whether that request waits here.</summary>
    public bool Contains(RequestId id) => _pending.ContainsKey(id);

    /// <summary>Gives a new request its turn in its conversation before it is put in, so that its turn does not hang on how long it takes to look it up.</summary>
    /// <param name="entry">Which.</param>
    /// <param name="byAge">Whether it goes before those that were accepted after it and do not run; otherwise it goes behind all.</param>
    public void Line(BacklogEntry entry, bool byAge)
    {
        if (entry.Request.Conversation is not { } conversation) return;

        var key = (entry.Request.Owner, conversation); // events and messages of all owners come under one key
        if (!_conversations.TryGetValue(key, out var turns)) _conversations[key] = turns = new LinkedList<BacklogEntry>();
        var before = turns.Last;
        while (byAge && before is not null && !IsTaken(before.Value) && before.Value.Request.AcceptedAt > entry.Request.AcceptedAt) before = before.Previous;
        entry.Turn = before is null ? turns.AddFirst(entry) : turns.AddAfter(before, entry);
        if (before is null && entry.Turn.Next is { } later) Exit(later.Value);
    }

    /// <summary>Puts a new request in, whose turn <see cref="Line"/> has given. It must not be pending already.</summary>
    public void Add(BacklogEntry entry)
    {
        var owner = entry.Request.Owner;
        entry.Leaf = _lanes[(int)entry.Request.Lane].Child(owner.Organization).Child(owner.Team).Child(owner.Key);
        entry.Leaf.Hold(1); // until its end, also while it is passed over: its leaf is empty then
        Track(entry);
        if (HasTheTurn(entry)) Enter(entry, first: false);
    }

    /// <summary>The request whose turn it is; null if none waits.</summary>
    public BacklogEntry? Peek()
    {
        foreach (var lane in _lanes)
        {
            if (lane.NextLeaf() is { } leaf) return leaf.Entries.First!.Value;
        }

        return null;
    }

    /// <summary>Takes a request out to run it, and charges its tenants with its prompt and expected output.</summary>
    public void Take(BacklogEntry entry)
    {
        Leave(entry);
        entry.Leaf!.Charge(Cost(entry, entry.ExpectedOutputTokens));
    }

    /// <summary>Puts a taken request back at the head of its tenant's line: its attempt did not end it. The charge is given back.</summary>
    public void Return(BacklogEntry entry)
    {
        entry.Leaf!.Charge(-Cost(entry, entry.ExpectedOutputTokens));
        Track(entry);
        if (HasTheTurn(entry)) Enter(entry, first: true);
    }

    /// <summary>A taken request has ended: its tenants are charged with what it really generated, and its conversation goes on.</summary>
    public void Settle(BacklogEntry entry, int outputTokens)
    {
        entry.Leaf!.Charge(OutputWeight * (outputTokens - entry.ExpectedOutputTokens));
        entry.Leaf.Hold(-1);
        EndTurn(entry);
    }

    /// <summary>Passes a waiting request over: it is not the next one until it is released, though it waits and keeps its conversation's turn. Nothing, if it does not wait.</summary>
    public void Withhold(BacklogEntry entry)
    {
        if (!_pending.ContainsKey(entry.Request.Id)) return;
        entry.IsWithheld = true;
        Exit(entry);
    }

    /// <summary>Puts a withheld request back at the head of its tenant's line; its tenant owes nothing for the time. Nothing, if it does not wait any more.</summary>
    public void Release(BacklogEntry entry)
    {
        if (!entry.IsWithheld) return;
        entry.IsWithheld = false;
        if (_pending.ContainsKey(entry.Request.Id) && HasTheTurn(entry)) Enter(entry, first: true, isNew: false);
    }

    /// <summary>Takes a waiting request out for good, uncharged, or one that has no more than its turn. False if it does not wait.</summary>
    public bool Remove(BacklogEntry entry)
    {
        var waits = _pending.ContainsKey(entry.Request.Id);
        if (waits)
        {
            Leave(entry);
            entry.Leaf!.Hold(-1);
        }

        EndTurn(entry);
        return waits;
    }

    private static double Cost(BacklogEntry entry, int outputTokens) => (PromptWeight * entry.Request.PromptTokens) + (OutputWeight * outputTokens);

    private static (DateTimeOffset AcceptedAt, string Id) Age(BacklogEntry entry) => (entry.Request.AcceptedAt, entry.Request.Id.Value);

    private void Enter(BacklogEntry entry, bool first, bool isNew = true)
    {
        if (entry.IsWithheld) return;

        var leaf = entry.Leaf!;
        entry.Place = first ? leaf.Entries.AddFirst(entry) : leaf.Entries.AddLast(entry);
        if (leaf.Entries.Count == 1) leaf.Activate(isNew);
        _tokensByLane[(int)entry.Request.Lane] += entry.ExpectedTokens;
    }

    /// <summary>Out of its leaf, if it is there: it may wait for its conversation's turn, or be withheld.</summary>
    private void Exit(BacklogEntry entry)
    {
        if (entry.Place is not { } place) return;

        entry.Leaf!.Entries.Remove(place);
        entry.Place = null;
        if (entry.Leaf.Entries.Count == 0) entry.Leaf.Deactivate();
        _tokensByLane[(int)entry.Request.Lane] -= entry.ExpectedTokens;
    }

    private bool IsTaken(BacklogEntry entry) => entry.Leaf is not null && !Contains(entry.Request.Id);

    private static bool HasTheTurn(BacklogEntry entry) => entry.Turn is not { Previous: not null };

    private void Leave(BacklogEntry entry)
    {
        _pending.Remove(entry.Request.Id);
        _byAge.Remove(Age(entry));
        Due.Remove(entry.Due);
        Sum(entry, -1);

        entry.IsWithheld = false;
        Exit(entry);
    }

    private void Track(BacklogEntry entry)
    {
        _pending.Add(entry.Request.Id, entry);
        _byAge.Add(Age(entry));
        Due.Add(entry.Due);
        Sum(entry, 1);
    }

    private void Sum(BacklogEntry entry, int sign)
    {
        var (request, tokens) = (entry.Request, sign * entry.ExpectedTokens);
        PromptTokens += sign * (long)request.PromptTokens;
        OutputTokens += sign * (long)entry.ExpectedOutputTokens;
        Sequences += sign * entry.Sequences;
        Bytes += sign * (long)request.Body.Length;

        var (requests, held) = _organizations.GetValueOrDefault(request.Owner.Organization);
        if (requests + sign == 0) _organizations.Remove(request.Owner.Organization);
        else _organizations[request.Owner.Organization] = (requests + sign, held + tokens);
    }

    private void EndTurn(BacklogEntry entry)
    {
        if (entry.Turn is not { } turn) return;

        var (turns, hadTheTurn) = (turn.List!, HasTheTurn(entry));
        turns.Remove(turn);
        entry.Turn = null;
        if (turns.First is not { } next) _conversations.Remove((entry.Request.Owner, entry.Request.Conversation!));
        else if (hadTheTurn && Contains(next.Value.Request.Id)) Enter(next.Value, first: false); // it may not be put in yet, or run out of turn: adopted
    }
}

/// <summary>A request in the hands of a dispatcher: its delivery and what fairness charged for it. Not thread-safe.</summary>
internal sealed class BacklogEntry(IRequestDelivery delivery, int expectedOutputTokens)
{
    /// <summary>The newest delivery: a duplicate replaces the one before.</summary>
    public IRequestDelivery Delivery { get; set; } = delivery;

    /// <summary>As it was first delivered: what it was charged and sorted by does not change.</summary>
    public InferenceRequest Request { get; } = delivery.Request;

    /// <summary>Output tokens it is expected to generate over all choices; at most its cap.</summary>
    public int ExpectedOutputTokens { get; } = expectedOutputTokens;

    /// <summary>Tokens it is expected to hold in a KV cache.</summary>
    public long ExpectedTokens => Request.PromptTokens + (long)ExpectedOutputTokens;

    /// <summary>Sequences it runs as: so many slots it takes.</summary>
    public int Sequences => Math.Max(1, Request.Choices);

    /// <summary>By when it is due, and what it takes, for the demand.</summary>
    public PendingWork Due => new(Request.Lane == Lane.Batch, Request.Deadline, Request.PromptTokens, ExpectedOutputTokens);

    /// <summary>Workers that could not read it.</summary>
    public HashSet<string> NotUnderstoodBy { get; } = new(0, StringComparer.Ordinal);

    /// <summary>The leaf it waits in or was charged to.</summary>
    public FairNode? Leaf { get; set; }

    /// <summary>Its place among those that wait in the leaf; null when it does not wait there.</summary>
    public LinkedListNode<BacklogEntry>? Place { get; set; }

    /// <summary>Its turn in its conversation; null when it has none.</summary>
    public LinkedListNode<BacklogEntry>? Turn { get; set; }

    /// <summary>Whether it is passed over for now.</summary>
    public bool IsWithheld { get; set; }
}
