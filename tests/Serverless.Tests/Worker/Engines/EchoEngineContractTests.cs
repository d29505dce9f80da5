using System.Text.Json;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Requests;
using Serverless.Tests.Contracts;
using Serverless.Tests.Contracts.Echo;

namespace Serverless.Tests.Worker.Engines;

public sealed class EchoEngineContractTests : EngineContract
{
    protected override InferenceRequest Failing => Request(8) with { Body = JsonSerializer.SerializeToUtf8Bytes(new { prompt = 1 }) };

    protected override Task<IEngine> LoadAsync() => new EchoEngineFactory().LoadAsync(
        PoolOf("echo", new ModelSource("echo", "cave"), ("slots", "4"), ("times", "1000")), new Progress<double>(), Token);
}
