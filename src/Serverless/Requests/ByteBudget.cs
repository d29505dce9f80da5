namespace Serverless.Requests;

/// <summary>
/// Bytes that one process may hold of something, over all models, shared by organizations: each may hold at most as much as it leaves free. Alone that is half of the limit; beside one that
/// took its half, a quarter; and so on: the limit is never passed, and never so full that a newcomer finds nothing (the dynamic thresholds of Choudhury and Hahne, 1998, with α = 1).
/// Thread-safe.
/// </summary>
public sealed class ByteBudget(long limit)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, long> _organizations = new(StringComparer.Ordinal);
    private long _held;

    /// <summary>The limit.</summary>
    public long Limit => limit;

    /// <summary>What is held.</summary>
    public long Held
    {
        get
        {
            lock (_lock) return _held;
        }
    }

    /// <summary>Takes so many bytes; false if they are not there for this organization.</summary>
    public bool TryTake(string organization, long bytes)
    {
        lock (_lock)
        {
            if (!FitsUnderLock(organization, bytes)) return false;

            Set(organization, _organizations.GetValueOrDefault(organization) + bytes, bytes);
            return true;
        }
    }

    /// <summary>Whether so many bytes could be taken now.</summary>
    public bool Fits(string organization, long bytes)
    {
        lock (_lock) return FitsUnderLock(organization, bytes);
    }

    /// <summary>Takes them whether they are there or not: what an earlier process had must be kept.</summary>
    public void Take(string organization, long bytes)
    {
        lock (_lock) Set(organization, _organizations.GetValueOrDefault(organization) + bytes, bytes);
    }

    /// <summary>Gives bytes back that were taken.</summary>
    public void Return(string organization, long bytes)
    {
        lock (_lock) Set(organization, _organizations.GetValueOrDefault(organization) - bytes, -bytes);
    }

    /// <summary>What is held and by how many, for the text of a refusal.</summary>
    public (long Held, long Own) Of(string organization)
    {
        lock (_lock) return (_held, _organizations.GetValueOrDefault(organization));
    }

    private bool FitsUnderLock(string organization, long bytes) => bytes <= 0 || _organizations.GetValueOrDefault(organization) + bytes <= limit - _held - bytes;

    private void Set(string organization, long own, long change)
    {
        _held += change;
        if (own <= 0) _organizations.Remove(organization);
        else _organizations[organization] = own;
    }
}
