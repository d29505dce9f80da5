namespace Serverless.Dispatching;

/// <summary>
/// One tenant in the tree of an organization, its teams and their keys, with a virtual counter of the tokens it was served:
/// VTC (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024) at every level. Not thread-safe.
/// </summary>
internal sealed class FairNode
{
    private const int PruneAbove = 1024;

    private static readonly Comparer<FairNode> ByCounter = Comparer<FairNode>.Create((left, right) =>
    {
        var counters = left._counter.CompareTo(right._counter);
        return counters != 0 ? counters : left._order.CompareTo(right._order);
    });

    private readonly FairNode? _parent;
    private readonly string _name;
    private readonly long _order;
    private readonly Dictionary<string, FairNode> _children = new(StringComparer.Ordinal);
    private readonly SortedSet<FairNode> _backlogged = new(ByCounter);
    private double _counter;
    private double _virtualTime;
    private int _outstanding;
    private long _nextOrder;
    private int _pruneAt = PruneAbove;

    public FairNode()
        : this(null, "", 0)
    {
    }

    private FairNode(FairNode? parent, string name, long order)
    {
        _parent = parent;
        _name = name;
        _order = order;
    }

    /// <summary>Requests that wait in this leaf, the next first.</summary>
    public LinkedList<BacklogEntry> Entries { get; } = new();

    /// <summary>Tokens served, weighted; for tests.</summary>
    public double Counter => _counter;

    private bool HasBacklog => Entries.Count > 0 || _backlogged.Count > 0;

    /// <summary>The child of that name, made when it is new.</summary>
    public FairNode Child(string name)
    {
        if (_children.TryGetValue(name, out var child)) return child;

        if (_children.Count >= _pruneAt) Prune();
        return _children[name] = new FairNode(this, name, _nextOrder++);
    }

    /// <summary>The leaf whose turn it is: the least-served backlogged child at every level; null if nothing waits.</summary>
    public FairNode? NextLeaf()
    {
        var node = this;
        while (node._backlogged.Min is { } child) node = child;
        return node.Entries.Count > 0 ? node : null;
    }

    /// <summary>To be called on a leaf that got its first entry. A tenant that was idle starts level with the least-served of those that wait: it neither owes nor is owed for its pause.</summary>
    /// <param name="wasIdle">False: it was never idle, only passed over, and keeps its place.</param>
    public void Activate(bool wasIdle = true)
    {
        for (var node = this; node._parent is { } parent; node = parent)
        {
            var first = !parent.HasBacklog;
            if (wasIdle) node._counter = Math.Max(node._counter, parent._backlogged.Min?._counter ?? parent._virtualTime);
            parent._backlogged.Add(node);
            if (!first) return;
        }
    }

    /// <summary>To be called on a leaf that gave its last entry away.</summary>
    public void Deactivate()
    {
        for (var node = this; node._parent is { } parent && !node.HasBacklog; node = parent) parent._backlogged.Remove(node);
    }

    /// <summary>Charges this leaf and all above it with what is served, or gives back what was charged too much.</summary>
    public void Charge(double tokens)
    {
        for (var node = this; node._parent is { } parent; node = parent)
        {
            var waits = parent._backlogged.Remove(node);
            parent._virtualTime = Math.Max(parent._virtualTime, Math.Min(node._counter, node._counter + tokens));
            node._counter += tokens;
            if (waits) parent._backlogged.Add(node);
        }
    }

    /// <summary>Counts a request of this leaf that was put in (1) or ended (−1): a tenant with one is not forgotten, or it would come again as another, with a share of its own.</summary>
    public void Hold(int change)
    {
        for (var node = this; node is not null; node = node._parent) node._outstanding += change;
    }

    private void Prune()
    {
        foreach (var idle in _children.Values.Where(child => child is { HasBacklog: false, _outstanding: 0 } && child._counter <= _virtualTime).ToArray()) _children.Remove(idle._name);
        _pruneAt = Math.Max(PruneAbove, 2 * _children.Count);
    }
}
