using Serverless.Dispatching;

namespace Serverless.Scaling;

/// <summary>A demand in the planner's units. Whatever is negative or not finite counts as nothing.</summary>
internal sealed class PlannerWork(Demand demand, PlannerMemory known, PlannerOptions options)
{
    /// <summary>No answer is larger, whatever the inputs; the model's own bound is far below.</summary>
    public const int MostReplicas = 1_000_000;

    private readonly double _prefill = known.PrefillTokensPerSecond > 0 ? known.PrefillTokensPerSecond : options.PrefillPrior;
    private readonly double _decode = known.DecodeTokensPerSecond > 0 ? known.DecodeTokensPerSecond : options.DecodePrior;

    public int Pending => Math.Max(0, demand.PendingRequests);

    public int Running => Math.Max(0, demand.RunningRequests);

    public double PendingPrompt => Positive(demand.PendingPromptTokens);

    public double PendingOutput => Positive(demand.PendingOutputTokens);

    public double PromptRate => Positive(demand.PromptTokensPerSecond);

    public double OutputRate => Positive(demand.OutputTokensPerSecond);

    public int Slots => known.Slots > 0 ? known.Slots : options.ReplicaPrior.Slots;

    /// <summary>Tokens planned for in the KV cache of one replica.</summary>
    public double KvPerReplica => (known.KvTokens > 0 ? known.KvTokens : options.ReplicaPrior.KvTokens) * options.KvTarget;

    /// <summary>w.</summary>
    public double ReplicaSeconds => (PendingPrompt / _prefill) + ((PendingOutput + Positive(demand.RunningOutputTokens)) / _decode);

    /// <summary>N_rate.</summary>
    public int RateReplicas => Ceiling(((PromptRate / _prefill) + (OutputRate / _decode)) / options.TargetUtilisation);

    /// <summary>Replicas whose slots the running requests take.</summary>
    public int SlotReplicas => Ceiling((double)Running / Slots);

    /// <summary>Tokens that running work holds, and that the pending work holds which would run beside it on so many replicas: a long queue is not counted twice.</summary>
    public double KvTokensNeeded(int replicas)
    {
        var free = Math.Max(0, ((long)replicas * Slots) - Running);
        var admissible = Pending == 0 ? 0 : Math.Min(1, (double)free / Pending);
        return Positive(demand.RunningTokens) + (admissible * (PendingPrompt + PendingOutput));
    }

    /// <summary>N_kv.</summary>
    public int KvReplicas(int replicas) => Ceiling(KvTokensNeeded(replicas) / KvPerReplica);

    private static double Positive(double value) => double.IsFinite(value) && value > 0 ? value : 0;

    private static int Ceiling(double value) => (int)Math.Min(Math.Ceiling(value - 1e-9), MostReplicas);
}
