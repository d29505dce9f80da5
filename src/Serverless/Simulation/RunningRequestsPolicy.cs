namespace Serverless.Simulation;

/// <summary>An HPA on <c>vllm:num_requests_running</c>, AverageValue (Google's and AIBrix's examples), brought up from zero and taken there by KEDA.</summary>
internal sealed class RunningRequestsPolicy(double target, int max) : KedaPolicy(FormattableString.Invariant($"running-requests {target:G4}"), max)
{
    protected override IReadOnlyList<(double Sum, double Target)> Metrics(in PolicyView view) => [(view.RunningRequests, target)];
}
