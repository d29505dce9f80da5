namespace Serverless.Dispatching;

/// <summary>A request from delivery to end, as its dispatcher tracks it. Not thread-safe.</summary>
internal sealed class TrackedRequest(BacklogEntry entry)
{
    public BacklogEntry Entry => entry;

    /// <summary>Where it runs or is about to; null while it waits.</summary>
    public ReplicaState? Replica { get; set; }

    /// <summary>Of the begin whose answer counts: an answer to an earlier one comes too late.</summary>
    public Guid Nonce { get; set; }

    /// <summary>Whether its worker was told to stop it.</summary>
    public bool Cancelled { get; set; }

    /// <summary>Attempts lost in a row with their worker, no output in between.</summary>
    public int Losses { get; set; }

    /// <summary>Chunks the log held at the last begin: more of them is progress.</summary>
    public int OutputSeen { get; set; }
}
