using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;
using Serverless.Requests;
using Serverless.Tests.Contracts;
using Shouldly;

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
        return await new LlamaCppEngineFactory(TimeProvider.System, NullLoggerFactory.Instance).LoadAsync(
            PoolOf("llamacpp", new ModelSource("host", LlamaServer.Model), ("server", await LlamaServer.PathAsync()), ("slots", "4")), new Progress<double>(), Token);
    }

    /// <summary>The gateway lets tools through to models whose template shows them; the shipped one's does not, so the engine is asked itself.</summary>
    [Fact]
    public async Task Calls_of_tools_come_in_pieces()
    {
        await using var engine = await LoadAsync();
        var tool = new { type = "function", function = new { name = "get_weather", parameters = new { type = "object", properties = new { city = new { type = "string", maxLength = 20 } }, required = new[] { "city" } } } };
        var request = Request(200) with { Endpoint = EndpointName.ChatCompletions, Body = JsonSerializer.SerializeToUtf8Bytes(new { messages = new[] { new { role = "user", content = "How is the weather in Paris?" } }, temperature = 0, tools = new[] { tool }, tool_choice = "required" }) };

        var chunks = await engine.GenerateAsync(request, [], Token).Select(output => output.Chunk).OfType<ChoiceChunk>().ToListAsync(Token);

        var pieces = chunks.SelectMany(chunk => chunk.ToolCalls).ToList();
        pieces.Select(piece => piece.Index).Distinct().ShouldBe([0]);
        (pieces[0].Name, pieces[0].Id.Length > 0).ShouldBe(("get_weather", true));
        JsonDocument.Parse(string.Concat(pieces.Select(piece => piece.Arguments))).RootElement.GetProperty("city").ValueKind.ShouldBe(JsonValueKind.String);
        chunks[^1].Finish.ShouldBe(FinishReason.ToolCalls);
    }
}
