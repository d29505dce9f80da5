using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Engines;

/// <summary>The real <c>llama-server</c> with the real model, as a replica loads it.</summary>
public sealed class LlamaServerContractTests : EngineContract
{
    /// <summary>Where it goes on it draws from the beginning of its seed's numbers.</summary>
    protected override double Temperature => 0;

    protected override InferenceRequest Failing => Request(8) with { Endpoint = EndpointName.ChatCompletions, Body = JsonSerializer.SerializeToUtf8Bytes(new { messages = 7 }) };

    protected override async Task<IEngine> LoadAsync()
    {
        Assert.SkipWhen(LlamaServer.Absence is not null, LlamaServer.Absence ?? "");
        return await new OpenAiEngineFactory<LlamaCppDialect>(TimeProvider.System, NullLoggerFactory.Instance).LoadAsync(
            PoolOf("llamacpp", new ModelSource("host", LlamaServer.Model), ("server", await LlamaServer.PathAsync()), ("slots", "4")), new Progress<double>(), Token);
    }
}
