namespace Serverless.Demand;

/// <summary>Sums of the pending requests by deadline, kept as they come and go. Deadlines of one minute count as the earliest of them could be. Not thread-safe; O(log n) per request.</summary>
internal sealed class DueLedger
{
    private const int MostEntries = 16;

    private readonly SortedDictionary<long, DueWork> _batch = [];
    private readonly SortedDictionary<long, int> _waited = [];

    /// <summary>The earliest deadline of requests that somebody waits for, to the minute; null when none is pending.</summary>
    public DateTimeOffset? EarliestWaited
    {
        get
        {
            foreach (var minute in _waited.Keys) return At(minute);
            return null;
        }
    }

    /// <summary>The batch lane's work in order of deadline: at most 16 entries, neighbours summed under the earlier deadline.</summary>
    public IReadOnlyList<DueWork> Batch
    {
        get
        {
            if (_batch.Count <= MostEntries) return [.. _batch.Values];

            var each = (_batch.Count + MostEntries - 1) / MostEntries;
            return [.. _batch.Values.Chunk(each).Select(group => group.Aggregate((sum, next) =>
                new DueWork(sum.Due, sum.Requests + next.Requests, sum.PromptTokens + next.PromptTokens, sum.OutputTokens + next.OutputTokens)))];
        }
    }

    public void Add(PendingWork work) => Change(work, 1);

    public void Remove(PendingWork work) => Change(work, -1);

    private static DateTimeOffset At(long minute) => DateTimeOffset.UnixEpoch.AddMinutes(minute);

    private void Change(PendingWork work, int sign)
    {
        var minute = (long)Math.Floor((work.Deadline - DateTimeOffset.UnixEpoch).TotalMinutes);
        if (!work.CanWait)
        {
            var count = _waited.GetValueOrDefault(minute) + sign;
            if (count > 0) _waited[minute] = count;
            else _waited.Remove(minute);
            return;
        }

        var old = _batch.GetValueOrDefault(minute, new DueWork(At(minute), 0, 0, 0));
        var sum = new DueWork(old.Due, old.Requests + sign, old.PromptTokens + (sign * work.PromptTokens), old.OutputTokens + (sign * work.OutputTokens));
        if (sum.Requests > 0) _batch[minute] = sum;
        else _batch.Remove(minute);
    }
}

/// <summary>One pending request, as the ledger counts it.</summary>
/// <param name="CanWait">Whether nobody waits for it: lane batch.</param>
/// <param name="Deadline">When it must be done.</param>
/// <param name="PromptTokens">Its prompt.</param>
/// <param name="OutputTokens">The output expected of it.</param>
internal readonly record struct PendingWork(bool CanWait, DateTimeOffset Deadline, long PromptTokens, long OutputTokens);
