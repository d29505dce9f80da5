namespace Serverless.Simulation;

/// <summary>
/// A policy that KEDA carries out: from zero when a poll (30 s) finds it active, 1 ↔ N by its HPA (15 s), to zero when it was inactive for the cooldown (300 s). The defaults of
/// KEDA 2.20 and Kubernetes 1.35; metrics are read without the age that a Prometheus scrape adds, which flatters it.
/// </summary>
internal abstract class KedaPolicy(string name, int max) : IReplayPolicy
{
    private const double Poll = 30;
    private const double Cooldown = 300;

    private readonly HorizontalAutoscaler _autoscaler = new(1, max);
    private double _polledAt = double.NegativeInfinity;
    private double _activeAt = double.NegativeInfinity;

    public string Name => name;

    public double Interval => 15;

    public bool Pushed => false;

    public int Decide(in PolicyView view)
    {
        var poll = view.Now - _polledAt >= Poll - 1e-6;
        if (poll) _polledAt = view.Now;
        if (poll && view.HasWork) _activeAt = view.Now;
        if (view.Desired == 0) return poll && view.HasWork ? 1 : 0;
        if (poll && !view.HasWork && view.Now - _activeAt >= Cooldown) return 0;

        return _autoscaler.Sync(view.Now, view.Desired, Metrics(view));
    }

    /// <summary>The triggers: a sum over the pool and its target per replica.</summary>
    protected abstract IReadOnlyList<(double Sum, double Target)> Metrics(in PolicyView view);
}
