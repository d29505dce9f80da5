using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;

namespace Serverless.Tests.Scaling;

/// <summary>Round numbers for the planner: a replica does 1,000 prompt or 100 output tokens per second and starts in 10 s; work drains in 5 s.</summary>
internal static class PlannerScene
{
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static readonly PlannerOptions Options = new()
    {
        TargetUtilisation = 0.75,
        Prior = new ClassPrior { PrefillTokensPerSecond = 1000, DecodeTokensPerSecond = 100, ColdStart = TimeSpan.FromSeconds(10), Slots = 16, KvTokens = 32768 },
        EconomicFactor = 0.75,
        WarmShare = 0,
        UpMargin = 0,
        DownMargin = 0,
        DrainTime = TimeSpan.FromSeconds(5),
        Window = TimeSpan.FromSeconds(30),
        StaleAfter = TimeSpan.FromSeconds(5),
    };

    /// <summary>The economic cap does not bind.</summary>
    public static readonly PlannerOptions Uncapped = Options with { EconomicFactor = 1e-9 };

    public static readonly PoolName PoolOfModel = new("m-cpu");

    public static Model Model(int min = 0, int max = 1000) => new()
    {
        Name = new ModelName("m"),
        Family = "llama",
        Source = new ModelSource("simulated", "m"),
        ContextTokens = 8192,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
        Scaling = new ScalingConfig { MinReplicas = min, MaxReplicas = max },
    };

    public static ModelDemand Idle(DateTimeOffset? at = null) => new() { Model = new ModelName("m"), At = at ?? Start };

    /// <summary>Waiting work of so many replica-seconds, all of it prompt.</summary>
    public static ModelDemand Backlog(double replicaSeconds, DateTimeOffset? at = null) => Idle(at) with { PendingRequests = 16, PendingPromptTokens = (long)(replicaSeconds * 1000) };

    public static PoolCapacity Capacity(int ready = 0, params DateTimeOffset[] loadingSince) =>
        new() { Pool = PoolOfModel, Desired = ready + loadingSince.Length, Ready = ready, LoadingSince = loadingSince };

    public static ModelPlan Plan(ModelDemand? demand, PoolCapacity? capacity = null, PlannerMemory? memory = null, PlannerOptions? options = null, Model? model = null, DateTimeOffset? now = null) =>
        new PoolPlanner(options ?? Options).Plan(model ?? Model(), demand, [capacity ?? Capacity()], memory ?? PlannerMemory.Empty, now ?? demand?.At ?? Start);

    public static int Replicas(ModelDemand demand, PoolCapacity? capacity = null, PlannerMemory? memory = null, PlannerOptions? options = null) =>
        Plan(demand, capacity, memory, options).Decisions[0].Replicas;

    public static PlannerMemory Knowing(double coldStartSeconds) => PlannerMemory.Empty with { Pools = PlannerMemory.Empty.Pools.Add(PoolOfModel.Value, PoolMemory.Nothing with { Learned = LearnedRates.Nothing with { ColdStartSeconds = coldStartSeconds } }) };

    /// <summary>As if so many had been asked for a second ago.</summary>
    public static PlannerMemory Holding(int replicas, bool work = false) => PlannerMemory.Empty with
    {
        LastHadWork = work,
        Pools = PlannerMemory.Empty.Pools.Add(PoolOfModel.Value, PoolMemory.Nothing with { Recent = [new WantedReplicas(Start.AddSeconds(-1), replicas)], Replicas = replicas }),
    };
}
