using Serverless.Demand;
using Serverless.Scaling.Planning;

namespace Serverless.Tests.Scaling;

/// <summary>A pool that follows its planner, second by second: replicas take a cold start to come up, each works off one replica-second a second over at most its slots.</summary>
internal sealed class PoolSimulation(PlannerOptions options, double coldStart, bool reports = false)
{
    private readonly List<DateTimeOffset> _loading = [];
    private readonly Queue<double> _waiting = new();
    private readonly List<double> _running = [];
    private PlannerMemory _memory = PlannerScene.Knowing(coldStart);
    private DateTimeOffset _now = PlannerScene.Start;
    private double _owed;
    private int _ready;

    public int Pending => _waiting.Count;

    /// <summary>Replica-seconds of one request.</summary>
    public double Cost(int prompt, int output) => (prompt / options.Prior.PrefillTokensPerSecond) + (output / options.Prior.DecodeTokensPerSecond);

    /// <summary>One second with so many replicas' worth of arrivals; returns the plan's answer, which is followed. Demand is seen as requests arrive, as a dispatcher publishes it.</summary>
    public int Second(double load, int prompt, int output)
    {
        var cost = Cost(prompt, output);
        var rate = load / cost;
        for (_owed += rate; _owed >= 1; _owed--) _waiting.Enqueue(cost);
        if (load == 0) _owed = 0;

        _now = _now.AddSeconds(1);
        _ready += _loading.RemoveAll(since => (_now - since).TotalSeconds >= coldStart);
        Admit();
        var left = _running.Sum() / cost;
        var demand = PlannerScene.Idle(_now) with
        {
            PendingRequests = _waiting.Count,
            PendingPromptTokens = (long)_waiting.Count * prompt,
            PendingOutputTokens = (long)_waiting.Count * output,
            RunningRequests = _running.Count,
            RunningTokens = (long)_running.Count * (prompt + output),
            RunningOutputTokens = (long)(left * output),
            PromptTokensPerSecond = rate * prompt,
            OutputTokensPerSecond = rate * output,
            RequestsPerSecond = rate,
            RecentPromptTokensPerSecond = rate * prompt,
            Replicas = [.. Enumerable.Range(0, reports ? _ready : 0).Select(Report)],
        };
        var plan = PlannerScene.Plan(demand, PlannerScene.Capacity(_ready, [.. _loading]), _memory, options);
        _memory = plan.Memory;
        Follow(plan.Decisions[0].Replicas);
        Work();
        return plan.Decisions[0].Replicas;
    }

    /// <summary>What runs is spread evenly: 13 requests on 14 replicas are one on each but the last.</summary>
    private ReplicaDemand Report(int replica) => new(
        $"r{replica}", PlannerScene.PoolOfModel, false, (_running.Count / _ready) + (replica < _running.Count % _ready ? 1 : 0), options.Prior.Slots, 0, options.Prior.KvTokens, options.Prior.PrefillTokensPerSecond, options.Prior.DecodeTokensPerSecond);

    private void Admit()
    {
        while (_running.Count < _ready * options.Prior.Slots && _waiting.TryDequeue(out var next)) _running.Add(next);
    }

    private void Work()
    {
        for (double left = _ready; left > 1e-9;)
        {
            Admit();
            if (_running.Count == 0) return;

            // A lone request cannot use two replicas; the shortest one ends the round.
            var share = Math.Min(left / _running.Count, Math.Min(1, _running.Min()));
            for (var i = 0; i < _running.Count; i++) _running[i] -= share;
            left -= Math.Max(share * Math.Max(_running.Count, _ready), 1e-9);
            _running.RemoveAll(rest => rest <= 1e-9);
        }
    }

    private void Follow(int replicas)
    {
        while (_ready + _loading.Count < replicas) _loading.Add(_now);
        while (_ready + _loading.Count > replicas && _loading.Count > 0) _loading.RemoveAt(_loading.Count - 1);
        _ready = Math.Min(_ready, replicas);
    }
}
