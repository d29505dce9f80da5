namespace Serverless.Simulation;

/// <summary>
/// llm-d's token-aware guide (<c>guides/workload-autoscaling/keda-epp-token-aware</c>): seconds of prompt tokens not prefilled yet at the calibrated V_P, per replica, and the KV cache's
/// usage against 0.8. Its default is 1.5 s.
/// </summary>
internal sealed class PrefillBacklogPolicy(double seconds, double prefillTokensPerSecond, int max) : KedaPolicy(FormattableString.Invariant($"prefill-backlog {seconds:G4} s"), max)
{
    private const double KvTarget = 0.8;

    protected override IReadOnlyList<(double Sum, double Target)> Metrics(in PolicyView view) =>
        [(view.PromptTokensNotPrefilled / prefillTokensPerSecond, seconds), (view.KvUsed, KvTarget)];
}
