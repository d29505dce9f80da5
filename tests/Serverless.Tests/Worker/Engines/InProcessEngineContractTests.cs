using System.Text.Json;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.InProcess;
using Serverless.Inference.Batching;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Worker.Engines;

public sealed class InProcessEngineContractTests : EngineContract
{
    protected override InferenceRequest Failing => Request(8) with { Body = JsonSerializer.SerializeToUtf8Bytes(new { prompt = new[] { 1_000_000_000 } }) };

    protected override Task<IEngine> LoadAsync() => new InProcessEngineFactory(new CoreBudget(2), TimeProvider.System).LoadAsync(
        PoolOf("in-process", new ModelSource("host", Repository.ModelPath), ("slots", "4"), ("kvTokens", "4096"), ("threads", "2")), new Progress<double>(), Token);
}
