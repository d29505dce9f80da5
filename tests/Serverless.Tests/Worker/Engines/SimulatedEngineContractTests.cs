using Serverless.Catalog;
using Serverless.Tests.Contracts;
using Serverless.Worker.Engines;

namespace Serverless.Tests.Worker.Engines;

public sealed class SimulatedEngineContractTests : EngineContract
{
    protected override Task<IEngine> LoadAsync() => new SimulatedEngineFactory(TimeProvider.System).LoadAsync(
        PoolOf("simulated", new ModelSource("simulated", "tiny"), ("slots", "4"), ("outputTokens", "500")), new Progress<double>(), Token);
}
