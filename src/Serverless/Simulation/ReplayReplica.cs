using Serverless.Dispatching;
using Serverless.Sessions;

namespace Serverless.Simulation;

/// <summary>One replica from "asked for" to gone.</summary>
internal sealed class ReplayReplica(EngineProfile profile, WorkerDescription worker, double askedAt)
{
    /// <summary>The dispatcher's view of it.</summary>
    public ReplicaState State { get; } = new(new ReplaySession(worker));

    public ReplayEngine Engine { get; } = new(profile);

    public double AskedAt => askedAt;

    /// <summary>Whether it takes work, or did.</summary>
    public bool Ready { get; set; }

    public bool Draining => State.Draining;

    public bool Gone { get; set; }

    /// <summary>Counts its scheduled ends: an older one in the heap is void.</summary>
    public long Schedule { get; set; }

    /// <summary>Tells the dispatcher what its worker would report.</summary>
    public void Measure() => State.Load = new WorkerLoad(Engine.Running, (long)Engine.KvTokens, Engine.PrefillRate, Engine.DecodeRate) { WaitingPromptTokens = Engine.WaitingPromptTokens };
}
