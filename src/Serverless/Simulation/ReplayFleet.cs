using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Scaling.Capacity;
using Serverless.Sessions;

namespace Serverless.Simulation;

/// <summary>The replicas of a replayed pool: who is asked for, loads, works, drains; and what that costs.</summary>
internal sealed class ReplayFleet(Pool pool, ReplayOptions options, double countUntil)
{
    private readonly Random _random = new(options.Seed);
    private readonly List<ReplayReplica> _replicas = [];
    private readonly List<ReplicaState> _connected = [];
    private readonly Dictionary<ReplicaState, ReplayReplica> _byState = [];
    private double _replicaSeconds;
    private double? _lastColdStart;
    private int _named;

    public int Desired { get; private set; }

    public int ScaleEvents { get; private set; }

    public int Peak { get; private set; }

    public double ReplicaHours => _replicaSeconds / 3600;

    public IReadOnlyList<ReplayReplica> Replicas => _replicas;

    /// <summary>Those the dispatcher sees.</summary>
    public List<ReplicaState> Connected => _connected;

    public int Ready { get; private set; }

    /// <summary>Asks for so many; gives those that begin to load, each with the second it will be ready.</summary>
    public List<(ReplayReplica Replica, double ReadyAt)> Ask(int replicas, double now)
    {
        List<(ReplayReplica, double)> started = [];
        replicas = Math.Clamp(replicas, 0, options.MaxReplicas);
        if (replicas == Desired) return started;

        Desired = replicas;
        if (now >= options.CountFrom) ScaleEvents++;
        var present = _replicas.Where(replica => !replica.Draining).ToList();
        for (var missing = replicas - present.Count; missing > 0; missing--) started.Add(Start(now));

        // As a ReplicaSet chooses: not ready before ready, then the lowest deletion cost (the fewest requests), then the newest.
        foreach (var victim in present.OrderBy(replica => replica.Ready).ThenBy(replica => replica.State.Running.Count).ThenByDescending(replica => replica.AskedAt).Take(present.Count - replicas)) Drain(victim, now);
        Peak = Math.Max(Peak, _replicas.Count);
        return started;
    }

    /// <summary>A replica has loaded; false if it was given up meanwhile.</summary>
    public bool Connect(ReplayReplica replica, double now)
    {
        if (replica.Gone) return false;

        replica.Ready = true;
        _lastColdStart = now - replica.AskedAt;
        _connected.Add(replica.State);
        _byState.Add(replica.State, replica);
        Ready++;
        return true;
    }

    /// <summary>The replica behind the dispatcher's view of it.</summary>
    public ReplayReplica Of(ReplicaState state) => _byState[state];

    /// <summary>A draining replica that has nothing left is gone.</summary>
    public void Settle(ReplayReplica replica, double now)
    {
        if (!replica.Draining || replica.Gone || replica.State.Running.Count > 0) return;

        replica.Gone = true;
        _replicas.Remove(replica);
        _connected.Remove(replica.State);
        _byState.Remove(replica.State);
        _replicaSeconds += Counted(replica.AskedAt, now);
    }

    /// <summary>Books what is still there at the end.</summary>
    public void Close(double now)
    {
        foreach (var replica in _replicas) _replicaSeconds += Counted(replica.AskedAt, now);
        _replicas.Clear();
    }

    public PoolCapacity Capacity() => new()
    {
        Pool = pool.Name,
        Desired = Desired,
        Ready = Ready,
        LoadingSince = [.. _replicas.Where(replica => replica is { Ready: false, Draining: false }).Select(replica => VirtualTime.Start.AddSeconds(replica.AskedAt))],
        Draining = _replicas.Count(replica => replica.Draining),
        LastColdStartSeconds = _lastColdStart,
    };

    private (ReplayReplica Replica, double ReadyAt) Start(double now)
    {
        var profile = options.Profile;
        var worker = new WorkerDescription
        {
            Worker = $"r{_named++}",
            Pool = pool.Name,
            Model = pool.Model.Name,
            Engine = "replayed",
            KvCapacityTokens = profile.KvTokens,
            Slots = profile.Slots,
        };
        var replica = new ReplayReplica(profile, worker, now);
        _replicas.Add(replica);
        return (replica, now + (profile.ColdStartSeconds * (1 + (options.ColdStartSpread * ((2 * _random.NextDouble()) - 1)))));
    }

    private void Drain(ReplayReplica replica, double now)
    {
        replica.State.Draining = true;
        if (replica.Ready) Ready--;
        Settle(replica, now);
    }

    private double Counted(double from, double to) => Math.Max(0, Math.Min(to, countUntil) - Math.Max(from, options.CountFrom));
}
