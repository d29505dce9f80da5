using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Scaling;

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
