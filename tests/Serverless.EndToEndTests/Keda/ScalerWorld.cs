using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Leases;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;

namespace Serverless.EndToEndTests.Keda;

/// <summary>What scalers of one installation share: the catalogue, demand, capacity, leases and the plan.</summary>
internal sealed class ScalerWorld(params KedaPool[] pools)
{
    public ICatalogSource Catalog { get; } = new TestCatalog(new ModelCatalog([.. pools.Select(pool => pool.Declared)]));

    public MemoryDemandFeed Demand { get; } = new();

    public MemoryCapacityFeed Capacity { get; } = new();

    public MemoryLeases Leases { get; } = new(TimeProvider.System);

    public MemoryPlanFeed Plans { get; } = new();
}
