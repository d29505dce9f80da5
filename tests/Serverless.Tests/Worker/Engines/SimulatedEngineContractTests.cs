using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.Simulated;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Worker.Engines;

public sealed class SimulatedEngineContractTests : EngineContract
{
    protected override InferenceRequest Failing => Request(8);

    protected override Task<IEngine> LoadAsync() => LoadAsync(("slots", "4"), ("outputTokens", "500"));

    /// <summary>The second of its requests fails, after two tokens.</summary>
    protected override Task<IEngine> LoadFailingAsync() => LoadAsync(("slots", "4"), ("outputTokens", "500"), ("failEvery", "2"), ("failAfterTokens", "2"));

    private static Task<IEngine> LoadAsync(params (string Name, string Value)[] parameters) =>
        new SimulatedEngineFactory(TimeProvider.System).LoadAsync(PoolOf("simulated", new ModelSource("simulated", "tiny"), parameters), new Progress<double>(), Token);
}
