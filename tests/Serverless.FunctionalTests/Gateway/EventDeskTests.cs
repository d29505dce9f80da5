using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Events for operators: those that pass, and one more.</summary>
public sealed class EventDeskTests
{
    private const string Requests = "/admin/events/serverless.requests";
    private const string Asked = """
        {"specversion": "1.0", "id": "order-1", "source": "/shop", "type": "shop.asked",
         "data": {"endpoint": "/v1/chat/completions", "body": {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}}}
        """;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_sent_is_a_request_and_the_same_again_waits_for_its_end()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        using var taken = await gateway.PostAsync(Requests, Asked, Token, "application/cloudevents+json");
        var held = await gateway.TakeAsync();
        var waiting = gateway.PostAsync(Requests + "?wait=60", Asked);
        await EndAsync(gateway, held);
        using var ended = await waiting.WithinLimitAsync();

        (taken.StatusCode, ended.StatusCode).ShouldBe((HttpStatusCode.Accepted, HttpStatusCode.OK));
        var (first, last) = (await JsonAsync(taken), await JsonAsync(ended));
        (first["id"]!.GetValue<string>(), first["status"]!.GetValue<string>()).ShouldBe((held.Request.Id.Value, "queued"));
        (last["id"]!.GetValue<string>(), last["status"]!.GetValue<string>(), last["event"]!.ToJsonString()).ShouldBe((held.Request.Id.Value, "completed", """{"source":"/shop","id":"order-1"}"""));
        last["response"]!["choices"]![0]!["message"]!["content"]!.GetValue<string>().ShouldBe("Good day");
    }

    [Theory]
    [InlineData("/admin/events/others", Asked, 400, "topic")]
    [InlineData(Requests, "{}", 400, null)]
    [InlineData(Requests, "no json", 400, null)]
    [InlineData(Requests, """{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"endpoint":"/v1/completions","body":{"model":"absent","prompt":"x"}}}""", 404, "model")]
    [InlineData(Requests, """{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"x"},"replyTo":"others"}}""", 403, "replyTo")]
    [InlineData(Requests + "?wait=61", Asked, 400, "wait")]
    public async Task What_is_refused_says_why(string path, string asked, int status, string? param)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        using var refused = await gateway.PostAsync(path, asked);

        ((int)refused.StatusCode).ShouldBe(status);
        ((string?)(await JsonAsync(refused))["error"]!["param"]).ShouldBe(param);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task What_passes_is_a_line_each_of_the_topics_that_are_asked_for()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var all = await OpenAsync(gateway, "");
        using var results = await OpenAsync(gateway, "?topic=serverless.results");

        using var taken = await gateway.PostAsync(Requests, Asked);
        await EndAsync(gateway, await gateway.TakeAsync());

        var asked = await NextAsync(all).WithinLimitAsync();
        (asked["topic"]!.GetValue<string>(), asked["id"]!.GetValue<string>(), asked["data"]!["endpoint"]!.GetValue<string>()).ShouldBe(("serverless.requests", "order-1", "/v1/chat/completions"));
        foreach (var reader in (StreamReader[])[all, results])
        {
            var told = await NextAsync(reader).WithinLimitAsync();
            (told["topic"]!.GetValue<string>(), told["type"]!.GetValue<string>(), told["data"]!["status"]!.GetValue<string>()).ShouldBe(("serverless.results", "dev.serverless.request.completed", "completed"));
        }
    }

    [Fact]
    public async Task A_gateway_that_stops_ends_what_is_looked_on()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var all = await OpenAsync(gateway, "");

        gateway.BeginStop();

        (await all.ReadLineAsync(Token).WithinLimitAsync()).ShouldBeNull();
    }

    /// <summary>Once it stands, which the first line says.</summary>
    private static async Task<StreamReader> OpenAsync(GatewayUnderTest gateway, string query)
    {
        var answer = await gateway.AskAsync(HttpMethod.Get, "/admin/events" + query);
        answer.Content.Headers.ContentType!.MediaType.ShouldBe("application/x-ndjson");
        var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(Token));
        (await reader.ReadLineAsync(Token).WithinLimitAsync()).ShouldBe("");
        return reader;
    }

    private static async Task<JsonNode> NextAsync(StreamReader reader)
    {
        while (true)
        {
            var line = (await reader.ReadLineAsync(Token)).ShouldNotBeNull();
            if (line.Length > 0) return JsonNode.Parse(line)!; // else it says that it still stands
        }
    }

    private static async Task<JsonNode> JsonAsync(HttpResponseMessage answer) => JsonNode.Parse(await answer.Content.ReadAsStringAsync(Token))!;

    private static async Task EndAsync(GatewayUnderTest gateway, HeldRequest held)
    {
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
        await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token).WithinLimitAsync();
    }
}
