namespace Serverless.Simulation;

/// <summary>
/// KubeAI (<c>internal/modelautoscaler/autoscaler.go</c>, <c>internal/modelclient/scale.go</c>): every 10 s, while there is an endpoint, ceil(mean of active requests over 10 min / target),
/// the window filled with zeros at first; down after 30 s of wanting to (its <c>scaleDownDelaySeconds</c>); from zero to one at the request itself. Its default target is 100.
/// </summary>
internal sealed class MeanConcurrencyPolicy(double target, int max) : IReplayPolicy
{
    private const int Window = 60;
    private const int ScaleDowns = 3;

    private readonly Queue<double> _active = new(Enumerable.Repeat(0.0, Window));
    private int _wantedDown;
    private double _lookedAt = double.NegativeInfinity;

    public string Name => FormattableString.Invariant($"mean-concurrency {target:G4}");

    public double Interval => 10;

    public bool Pushed => true;

    public int Decide(in PolicyView view)
    {
        if (view.Desired == 0 && view.HasWork) return 1;
        if (view.Ready == 0 || view.Now - _lookedAt < Interval - 1e-6) return view.Desired;

        _lookedAt = view.Now;
        _active.Dequeue();
        _active.Enqueue(view.WaitingRequests + view.RunningRequests);
        var wanted = Math.Min((int)Math.Ceiling((_active.Average() / target) - 1e-9), max);
        if (wanted < view.Desired) return _wantedDown++ < ScaleDowns ? view.Desired : wanted;

        _wantedDown = 0;
        return wanted;
    }
}
