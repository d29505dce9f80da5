using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.Vllm;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Engines;

/// <summary>A real vLLM, which runs at <c>VLLM_URL</c> with one model. What a stub shows of it is in <c>VllmContractTests</c>.</summary>
public sealed class VllmServerContractTests : EngineContract
{
    private static string? Url { get; } = Environment.GetEnvironmentVariable("VLLM_URL");

    /// <summary>Where it goes on it draws from the beginning of its seed's numbers.</summary>
    protected override double Temperature => 0;

    protected override InferenceRequest Failing => Request(8) with { Endpoint = EndpointName.ChatCompletions, Body = JsonSerializer.SerializeToUtf8Bytes(new { messages = 7 }) };

    protected override Task<IEngine> LoadAsync()
    {
        Assert.SkipWhen(string.IsNullOrEmpty(Url), "VLLM_URL names no vLLM: its address, as of 'vllm serve MODEL'");
        return new OpenAiEngineFactory<VllmDialect>(TimeProvider.System, NullLoggerFactory.Instance).LoadAsync(PoolOf("vllm", new ModelSource("huggingface", "any"), ("url", Url!), ("slots", "4")), new Progress<double>(), Token);
    }
}
