using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>A connected worker as its dispatcher sees it. Not thread-safe.</summary>
internal sealed class ReplicaState(IWorkerSession session)
{
    private WorkerLoad _load = WorkerLoad.Idle;
    private long _assignedSince;
    private int _sequences;
    private int _ofBatch;

    public IWorkerSession Session => session;

    public WorkerDescription Worker => session.Worker;

    public WorkerLoad Load
    {
        get => _load;
        set => (_load, _assignedSince) = (value, 0);
    }

    public bool Draining { get; set; }

    /// <summary>Requests assigned to it and not ended.</summary>
    public Dictionary<RequestId, TrackedRequest> Running { get; } = [];

    /// <summary>What it runs besides, by its own word: since an earlier dispatcher, and nobody has delivered it here yet; or it was told to drop it and has not said that it did.</summary>
    public Dictionary<RequestId, AttemptClaim> Claims { get; } = [];

    /// <summary>Tokens that the running ones are expected to hold.</summary>
    public long ReservedTokens { get; private set; }

    /// <summary>Whether any of them is work of the batch lane, which others may get the place of: counted, for it is asked with every request that fits nowhere.</summary>
    public bool HasBatch => _ofBatch > 0;

    /// <summary>Whether it takes work.</summary>
    public bool IsReady => !Draining && !Worker.Loading;

    /// <summary>Slots that are taken: one for each sequence. Of claims only the engine knows how many they have; one, at least.</summary>
    public int Taken => _sequences + Claims.Count;

    /// <summary>Tokens spoken for. Of claims only the engine knows how many they hold.</summary>
    public long Committed => Claims.Count > 0 ? Math.Max(ReservedTokens, Load.KvUsedTokens) : ReservedTokens;

    /// <summary>Prompt tokens that one which comes now waits for: those its worker has not prefilled, and those assigned since it said so.</summary>
    public long PromptTokensAhead => Load.WaitingPromptTokens + _assignedSince;

    public void Add(TrackedRequest request)
    {
        Running.Add(request.Id, request);
        _assignedSince += request.Request.PromptTokens;
        _sequences += request.Entry.Sequences;
        if (request.Entry.Request.Lane == Lane.Batch) _ofBatch++;
        ReservedTokens += request.Entry.ExpectedTokens;
    }

    public bool Remove(TrackedRequest request)
    {
        if (!Running.Remove(request.Id)) return false;
        _sequences -= request.Entry.Sequences;
        if (request.Entry.Request.Lane == Lane.Batch) _ofBatch--;
        ReservedTokens -= request.Entry.ExpectedTokens;
        return true;
    }
}
