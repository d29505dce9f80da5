namespace Serverless.Simulation;

/// <summary>
/// Kubernetes' HPA on external metrics of type AverageValue (<c>pkg/controller/podautoscaler</c>): ceil(sum / target) outside the tolerance, the largest over the metrics, up at most
/// by the larger of 100 % and 4 pods each 15 s, down to the most recommended within the stabilisation window. One instance, one HPA: it remembers its recommendations.
/// </summary>
internal sealed class HorizontalAutoscaler(int min, int max, double tolerance = 0.1, double stabilisation = 300, bool unlimitedUp = false)
{
    private readonly Queue<(double At, int Replicas)> _recommended = new();

    /// <summary>What one metric asks for.</summary>
    public static int Desired(int current, double sum, double target, double tolerance)
    {
        var ratio = sum / (target * current);
        return Math.Abs(ratio - 1) <= tolerance ? current : (int)Math.Ceiling((sum / target) - 1e-9);
    }

    /// <summary>One sync: replicas to set.</summary>
    public int Sync(double now, int current, IReadOnlyList<(double Sum, double Target)> metrics)
    {
        var desired = metrics.Max(metric => Desired(current, metric.Sum, metric.Target, tolerance));
        desired = Math.Clamp(desired, min, max);
        _recommended.Enqueue((now, desired));
        while (now - _recommended.Peek().At > stabilisation) _recommended.Dequeue();
        if (desired < current) return Math.Min(current, _recommended.Max(entry => entry.Replicas));

        return unlimitedUp ? desired : Math.Min(desired, Math.Max(2 * current, current + 4));
    }
}
