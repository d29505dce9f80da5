using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>
/// Attempts that were lost with their worker, counted against their request: three in a row without a token, and it is taken to be the cause. A session that ended is no more than
/// a suspicion: a worker that comes back to register was not lost, its link was. So before the verdict a request waits a moment for its workers. Not thread-safe.
/// </summary>
internal sealed class LostAttempts(RequestTable table, TimeProvider time)
{
    private const int Max = 3;

    /// <summary>How long workers have to come back: they look for their dispatcher every second or so.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly HashSet<TrackedRequest> _suspected = [];

    /// <summary>Whether there were as many as make a verdict.</summary>
    public static bool IsLethal(TrackedRequest request) => request.Losses >= Max;

    /// <summary>Its engine is gone, says its worker: the request goes back into the backlog.</summary>
    public void Lose(TrackedRequest request)
    {
        request.Losses++;
        table.Requeue(request);
    }

    /// <summary>Its worker's session ended: the request goes back into the backlog, though not at once if this would be the verdict.</summary>
    public void LoseSession(TrackedRequest request, string worker)
    {
        request.Losses++;
        request.LostWith.Add(worker);
        _suspected.Add(request);
        table.Requeue(request);
        if (!IsLethal(request)) return;

        table.Defer(request, time.GetUtcNow() + Grace); // in its place, and with its conversation's turn
    }

    /// <summary>A worker registered: nothing was lost with it.</summary>
    public void Return(string worker)
    {
        foreach (var request in _suspected)
        {
            var waits = IsLethal(request);
            while (request.LostWith.Remove(worker)) request.Losses = Math.Max(0, request.Losses - 1);
            if (waits && !IsLethal(request)) table.Resume(request);
        }

        _suspected.RemoveWhere(request => request.LostWith.Count == 0);
    }

    /// <summary>
    /// The log has begun another attempt. Losses that it remembers from before this dispatcher count but never suffice: a verdict needs one that it saw itself. A take-over, after
    /// which attempts begin that nobody has lost, condemns nothing.
    /// </summary>
    public void Begun(TrackedRequest request, BeginResult begun)
    {
        if (!request.Begun) request.Losses = Math.Max(request.Losses, Math.Min(begun.AttemptsWithoutProgress, Max - 1));
        if (begun.Output.Count > request.OutputSeen)
        {
            (request.Losses, request.OutputSeen) = (0, begun.Output.Count);
            request.Returns = request.Pauses = null;
            request.LostWith.Clear();
            _suspected.Remove(request);
        }

        request.Begun = true;
    }

    /// <summary>Forgets those that have ended.</summary>
    public void Tick()
    {
        if (_suspected.Count > 0) _suspected.RemoveWhere(request => !table.Has(request));
    }
}
