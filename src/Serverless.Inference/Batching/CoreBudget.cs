namespace Serverless.Inference.Batching;

/// <summary>
/// The cores of a machine, shared by the engines that compute at the same time: together they run no more threads than there are cores, and an engine that is idle leaves its part to the
/// others. More threads than cores are slower for everybody: each waits at every barrier for those that are not on a core. Numbers do not depend on threads, so a share may change between any
/// two passes. Thread-safe.
/// </summary>
public sealed class CoreBudget
{
    private readonly Lock _lock = new();
    private readonly int _cores;
    private readonly List<CoreShare> _busy = [];

    /// <summary>So many cores.</summary>
    public CoreBudget(int cores)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(cores, 1);
        _cores = cores;
    }

    /// <summary>The share of an engine that has no use for more than <paramref name="most"/> threads.</summary>
    internal CoreShare Join(int most) => new(this, Math.Min(most, _cores));

    internal void Begin(CoreShare share)
    {
        lock (_lock)
        {
            _busy.Add(share);
            ShareNeedsLock();
        }
    }

    internal void End(CoreShare share)
    {
        lock (_lock)
        {
            _busy.Remove(share);
            ShareNeedsLock();
        }
    }

    /// <summary>Equal parts, and what one has no use for is the others'. Each has one thread, however many they are.</summary>
    private void ShareNeedsLock()
    {
        _busy.Sort(static (one, other) => one.Most.CompareTo(other.Most));
        var left = _cores;
        for (var i = 0; i < _busy.Count; i++)
        {
            var part = Math.Clamp(left / (_busy.Count - i), 1, _busy[i].Most);
            _busy[i].Give(part);
            left = Math.Max(0, left - part);
        }
    }
}

/// <summary>One engine's part of the cores. Begun and ended by its thread alone.</summary>
internal sealed class CoreShare(CoreBudget budget, int most) : IDisposable
{
    private volatile int _threads = most;
    private bool _isBusy;

    /// <summary>Most threads it has use for.</summary>
    public int Most { get; } = most;

    /// <summary>Threads that the next pass may use.</summary>
    public int Threads => _threads;

    /// <summary>It computes now.</summary>
    public void Begin()
    {
        if (_isBusy) return;
        _isBusy = true;
        budget.Begin(this);
    }

    /// <summary>It has nothing to compute.</summary>
    public void End()
    {
        if (!_isBusy) return;
        _isBusy = false;
        budget.End(this);
    }

    public void Give(int threads) => _threads = threads;

    public void Dispose() => End();
}
