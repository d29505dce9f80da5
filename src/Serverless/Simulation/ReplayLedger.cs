namespace Serverless.Simulation;

/// <summary>What a replay is judged by.</summary>
internal sealed class ReplayLedger(ReplayOptions options)
{
    private readonly List<double> _firstTokens = [];
    private readonly List<ReplayPoint> _course = [];
    private int _attained;
    private double _arrivedTokens;
    private double _sampledAt;

    public void Arrived(TraceRequest request) => _arrivedTokens += request.PromptTokens + request.OutputTokens;

    public void Ended(ReplayRequest request) => Count(request, request.FirstTokenAt - request.Traced.At);

    public void Sample(double now, ReplayFleet fleet, int waiting)
    {
        var passed = now - _sampledAt;
        _course.Add(new ReplayPoint(now, fleet.Desired, fleet.Ready, waiting, passed > 0 ? _arrivedTokens / passed : 0));
        (_sampledAt, _arrivedTokens) = (now, 0);
    }

    public ReplayResult Result(Trace trace, IReplayPolicy policy, ReplayFleet fleet, IEnumerable<ReplayRequest> open)
    {
        foreach (var request in open) Count(request, double.IsNaN(request.FirstTokenAt) ? double.PositiveInfinity : request.FirstTokenAt - request.Traced.At);
        _firstTokens.Sort();
        return new ReplayResult
        {
            Trace = trace.Name,
            Policy = policy.Name,
            Requests = _firstTokens.Count,
            GpuHours = fleet.ReplicaHours,
            Attainment = _firstTokens.Count == 0 ? 1 : (double)_attained / _firstTokens.Count,
            FirstTokenP50 = Quantile(0.5),
            FirstTokenP99 = Quantile(0.99),
            ScaleEvents = fleet.ScaleEvents,
            PeakReplicas = fleet.Peak,
            Course = _course,
        };
    }

    private void Count(ReplayRequest request, double firstToken)
    {
        if (request.Traced.At < options.CountFrom) return;

        _firstTokens.Add(firstToken);
        if (firstToken <= options.FirstTokenSlack + (2 * options.Profile.PrefillSeconds(request.Traced.PromptTokens))) _attained++;
    }

    private double Quantile(double share) => _firstTokens.Count == 0 ? 0 : _firstTokens[Math.Min(_firstTokens.Count - 1, (int)(share * _firstTokens.Count))];
}
