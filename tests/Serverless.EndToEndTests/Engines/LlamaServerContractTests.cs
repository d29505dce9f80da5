using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Engines;

/// <summary>The real <c>llama-server</c> with the real model, as a replica loads it.</summary>
public sealed class LlamaServerContractTests : EngineContract
{
    protected override InferenceRequest Failing => Request(8) with { Endpoint = EndpointName.ChatCompletions, Body = JsonSerializer.SerializeToUtf8Bytes(new { messages = 7 }) };

    protected override Task<IEngine> LoadAsync() => throw new NotImplementedException("needs the rig's path and PoolOf of the contract: next session");
}
