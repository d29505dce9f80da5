namespace Serverless.Simulation;

/// <summary>KEDA on <c>sum(vllm:num_requests_waiting)</c>, AverageValue; vendors' default target is 5 (KServe, vLLM production-stack).</summary>
internal sealed class QueueLengthPolicy(double target, int max) : KedaPolicy(FormattableString.Invariant($"queue-length {target:G4}"), max)
{
    protected override IReadOnlyList<(double Sum, double Target)> Metrics(in PolicyView view) => [(view.WaitingRequests, target)];
}
