namespace Serverless.Worker.Local;

/// <summary>How far a replica is.</summary>
internal enum ReplicaPhase
{
    /// <summary>Its engine loads.</summary>
    Loading,

    /// <summary>It takes work.</summary>
    Ready,

    /// <summary>It finishes what runs and goes.</summary>
    Draining,
}
