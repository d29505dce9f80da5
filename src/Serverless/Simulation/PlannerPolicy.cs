using Serverless.Scaling.Planning;

namespace Serverless.Simulation;

/// <summary>
/// Ours: <see cref="PoolPlanner"/>, planned every second as the scaler does, carried out by KEDA as our rendered ScaledObject sets it: the push from zero, an HPA sync of 15 s without
/// tolerance or limit on metric target 1, zero when inactive for the cooldown. Embedded, the plan is carried out at once.
/// </summary>
internal sealed class PlannerPolicy(PlannerOptions options, int max, bool embedded = false, double cooldown = 300) : IReplayPolicy
{
    private const double Sync = 15;

    private readonly PoolPlanner _planner = new(options);
    private readonly HorizontalAutoscaler _autoscaler = new(1, max, tolerance: 0, stabilisation: 0, unlimitedUp: true);
    private PlannerMemory _memory = PlannerMemory.Empty;
    private double _syncedAt = double.NegativeInfinity;
    private double _activeAt;

    public string Name => embedded ? "planner (embedded)" : "planner";

    public double Interval => 1;

    public bool Pushed => true;

    public int Decide(in PolicyView view)
    {
        var plan = _planner.Plan(view.Model, view.Demand, [view.Capacity], _memory, view.Demand.At);
        _memory = plan.Memory;
        var decision = plan.Decisions[0];
        if (decision.Active) _activeAt = view.Now;
        if (view.Desired == 0) return decision.Active ? (embedded ? decision.Replicas : 1) : 0;

        if (!decision.Active && view.Now - _activeAt >= cooldown) return 0;
        if (!embedded && view.Now - _syncedAt < Sync - 1e-6) return view.Desired;

        _syncedAt = view.Now;
        return embedded ? Math.Max(1, decision.Replicas) : _autoscaler.Sync(view.Now, view.Desired, [(decision.Replicas, 1)]);
    }
}
