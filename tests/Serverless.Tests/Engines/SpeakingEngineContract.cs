using System.Text.Json;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi.SgLang;
using Serverless.Hosting.Engines.OpenAi.Vllm;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Engines;

/// <summary>What every engine does, of a server that speaks as those do; it goes with the test.</summary>
public abstract class SpeakingEngineContract(bool namesTokens) : EngineContract, IAsyncDisposable
{
    private readonly List<StubEngine> _stubs = [];

    protected override InferenceRequest Failing => Request(8) with { Endpoint = EndpointName.ChatCompletions, Body = JsonSerializer.SerializeToUtf8Bytes(new { messages = 7 }) };

    public async ValueTask DisposeAsync()
    {
        foreach (var stub in _stubs) await stub.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<IEngine> LoadAsync(StubEngine stub);

    protected override async Task<IEngine> LoadAsync()
    {
        var stub = await StubEngine.StartRecordedAsync("vllm");
        _stubs.Add(stub);
        stub.Answer = http => SpeakingEngine.AnswerAsync(http, namesTokens);
        return await LoadAsync(stub);
    }
}

/// <summary>What every engine does, of a server that speaks as vLLM does. A real one runs the same where <c>VLLM_URL</c> is set (end-to-end tests).</summary>
public sealed class VllmContractTests() : SpeakingEngineContract(namesTokens: true)
{
    private protected override Task<IEngine> LoadAsync(StubEngine stub) => stub.LoadAsync<VllmDialect>(("slots", "4"));
}

/// <summary>What every engine does, of a server that speaks as SGLang does.</summary>
public sealed class SgLangContractTests() : SpeakingEngineContract(namesTokens: false)
{
    private protected override Task<IEngine> LoadAsync(StubEngine stub) => stub.LoadAsync<SgLangDialect>(("slots", "4"));
}
