using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>A connected worker as its dispatcher sees it. Not thread-safe.</summary>
internal sealed class ReplicaState(IWorkerSession session)
{
    public IWorkerSession Session => session;

    public WorkerDescription Worker => session.Worker;

    public WorkerLoad Load { get; set; } = WorkerLoad.Idle;

    public bool Draining { get; set; }

    /// <summary>Requests assigned to it and not ended.</summary>
    public Dictionary<RequestId, TrackedRequest> Running { get; } = [];

    /// <summary>Tokens that the running ones are expected to hold.</summary>
    public long ReservedTokens { get; private set; }

    public void Add(TrackedRequest request)
    {
        Running.Add(request.Entry.Request.Id, request);
        ReservedTokens += request.Entry.ExpectedTokens;
    }

    public bool Remove(TrackedRequest request)
    {
        if (!Running.Remove(request.Entry.Request.Id)) return false;
        ReservedTokens -= request.Entry.ExpectedTokens;
        return true;
    }
}
