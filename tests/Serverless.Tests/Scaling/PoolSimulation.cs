using Serverless.Demand;
using Serverless.Scaling.Planning;

namespace Serverless.Tests.Scaling;

/// <summary>
/// A pool that follows its planner, second by second: replicas take a cold start to come up, each does one replica-second of work a second, shared by at most as many requests as it has slots, reports what it is
/// seen to do (which the prior may be wrong about), and finishes what it runs before it leaves.
/// </summary>
/// <remarks>Where it is kinder than reality: requests arrive evenly and are all alike, a batch decodes no faster than one sequence, and no start fails. Traces are replayed by <c>Serverless.Simulation</c>.</remarks>
internal sealed class PoolSimulation(PlannerOptions options, double coldStart, double speed = 1)
{
    private readonly List<DateTimeOffset> _loading = [];
    private readonly List<SimulatedReplica> _replicas = [];
    private readonly Queue<double> _waiting = new();
    private PlannerMemory _memory = PlannerScene.Knowing(coldStart);
    private DateTimeOffset _now = PlannerScene.Start;
    private double _owed;

    public int Pending => _waiting.Count;

    /// <summary>What the planner remembers.</summary>
    public PlannerMemory Memory => _memory;

    /// <summary>The last decision.</summary>
    public ScaleDecision? Decision { get; private set; }

    public bool HasWork => _waiting.Count > 0 || _replicas.Exists(replica => replica.Running.Count > 0);

    private double PrefillRate => options.Prior.PrefillTokensPerSecond * speed;

    private double DecodeRate => options.Prior.DecodeTokensPerSecond * speed;

    private IEnumerable<SimulatedReplica> Ready => _replicas.Where(replica => !replica.Draining);

    /// <summary>Replica-seconds of one request.</summary>
    public double Cost(int prompt, int output) => (prompt / PrefillRate) + (output / DecodeRate);

    /// <summary>One second with so many replicas' worth of arrivals; returns the plan's answer, which is followed. Demand is seen as requests arrive, as a dispatcher publishes it.</summary>
    public int Second(double load, int prompt, int output)
    {
        var cost = Cost(prompt, output);
        var rate = load / cost;
        for (_owed += rate; _owed >= 1; _owed--) _waiting.Enqueue(cost);
        if (load == 0) _owed = 0;

        _now = _now.AddSeconds(1);
        for (var up = _loading.RemoveAll(since => (_now - since).TotalSeconds >= coldStart); up > 0; up--) _replicas.Add(new SimulatedReplica());
        Assign();
        var running = _replicas.Sum(replica => replica.Running.Count);
        var demand = PlannerScene.Idle(_now) with
        {
            PendingRequests = _waiting.Count,
            PendingPromptTokens = (long)_waiting.Count * prompt,
            PendingOutputTokens = (long)_waiting.Count * output,
            RunningRequests = running,
            RunningTokens = (long)running * (prompt + output),
            RunningOutputTokens = (long)(_replicas.Sum(replica => replica.Running.Sum()) / cost * output),
            PromptTokensPerSecond = rate * prompt,
            OutputTokensPerSecond = rate * output,
            RequestsPerSecond = rate,
            RecentPromptTokensPerSecond = rate * prompt,
            Replicas =
            [
                .. _replicas.Select((replica, index) => new ReplicaDemand(
                    $"r{index}", PlannerScene.PoolOfModel, replica.Draining, replica.Running.Count, options.Prior.Slots, 0, options.Prior.KvTokens, PrefillRate, DecodeRate)),
            ],
        };
        var ready = Ready.Count();
        var capacity = PlannerScene.Capacity(ready, [.. _loading]) with { Draining = _replicas.Count - ready };
        var plan = PlannerScene.Plan(demand, capacity, _memory, options);
        (_memory, Decision) = (plan.Memory, plan.Decisions[0]);
        Follow(plan.Decisions[0].Replicas);
        Work();
        return plan.Decisions[0].Replicas;
    }

    /// <summary>To whoever runs the fewest.</summary>
    private void Assign()
    {
        while (_waiting.Count > 0 && Ready.MinBy(replica => replica.Running.Count) is { } free && free.Running.Count < options.Prior.Slots) free.Running.Add(_waiting.Dequeue());
    }

    /// <summary>In tenths of a second: what ends makes room within one.</summary>
    private void Work()
    {
        for (var tenth = 0; tenth < 10; tenth++)
        {
            Assign();
            foreach (var replica in _replicas) replica.Work(0.1);
        }

        _replicas.RemoveAll(replica => replica is { Draining: true, Running.Count: 0 });
    }

    /// <summary>Those that load are given up first, then those that run the least, which finish it.</summary>
    private void Follow(int replicas)
    {
        while (Ready.Count() + _loading.Count < replicas) _loading.Add(_now);
        while (Ready.Count() + _loading.Count > replicas)
        {
            if (_loading.Count > 0) _loading.RemoveAt(_loading.Count - 1);
            else Ready.MinBy(replica => replica.Running.Count)!.Draining = true;
        }
    }

    private sealed class SimulatedReplica
    {
        /// <summary>Replica-seconds left of each request.</summary>
        public List<double> Running { get; } = [];

        public bool Draining { get; set; }

        /// <summary>Shared alike; what one does not need the others have.</summary>
        public void Work(double seconds)
        {
            while (seconds > 1e-9 && Running.Count > 0)
            {
                var share = Math.Min(seconds / Running.Count, Running.Min());
                seconds -= share * Running.Count;
                for (var i = 0; i < Running.Count; i++) Running[i] -= share;
                Running.RemoveAll(rest => rest <= 1e-9);
            }
        }
    }
}
