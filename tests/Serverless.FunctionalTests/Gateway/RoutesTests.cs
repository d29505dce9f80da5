using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

public sealed class RoutesTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/v1/chat/completions", 405, "method_not_allowed")]
    [InlineData("PUT", "/v1/completions", 405, "method_not_allowed")]
    [InlineData("POST", "/v1/models", 405, "method_not_allowed")]
    [InlineData("DELETE", "/v1/models/tiny", 405, "method_not_allowed")]
    [InlineData("GET", "/v1/nothing", 404, "unknown_url")]
    [InlineData("POST", "/", 404, "unknown_url")]
    [InlineData("GET", "/v1/models/absent", 404, "model_not_found")]
    [InlineData("GET", "/v1/models/some%2Fabsent", 404, "model_not_found")]
    [InlineData("GET", "/admin/pools/absent/decisions", 404, "pool_not_found")]
    public async Task What_is_not_there_is_said_in_OpenAIs_error_shape(string method, string path, int status, string code)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        var answer = await gateway.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path), Token);

        ((int)answer.StatusCode).ShouldBe(status);
        answer.Headers.Contains("x-request-id").ShouldBeTrue();
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("error");
        error.GetProperty("code").GetString().ShouldBe(code);
        error.EnumerateObject().Select(property => property.Name).ShouldBe(["message", "type", "param", "code"]);
        if (status == 405) answer.Content.Headers.Allow.ShouldNotBeEmpty();
    }

    [Theory]
    [InlineData("/v1/models")]
    [InlineData("/models")]
    public async Task Models_at_zero_are_listed(string path)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        (await gateway.Client.GetStringAsync(path, Token)).ShouldBe("""{"object":"list","data":[{"id":"tiny","object":"model","created":1700000000,"owned_by":"tests","max_model_len":1000}]}""");
        (await gateway.Client.GetStringAsync(path + "/tiny", Token)).ShouldBe("""{"id":"tiny","object":"model","created":1700000000,"owned_by":"tests","max_model_len":1000}""");
    }

    [Fact]
    public async Task Pools_show_state_work_and_last_decision()
    {
        var at = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
        var pool = GatewayUnderTest.Model.Pools[0].Name;
        await using var gateway = await GatewayUnderTest.StartAsync(configure: services => services.AddSingleton<IScaleJournal>(new OneDecision(new ScaleDecision(pool, at, 1, true, ["24 pending tokens"]) { Inputs = new DecisionInputs { WorkSeconds = 9.3 } })));
        gateway.Services.GetRequiredService<ICapacityFeed>().Publish(new PoolCapacity { Pool = pool, Desired = 1, Ready = 1 });
        gateway.Services.GetRequiredService<IDemandFeed>().Publish(new ModelDemand
        {
            Model = GatewayUnderTest.Model.Name,
            At = at,
            PendingRequests = 2,
            PendingPromptTokens = 10,
            PendingOutputTokens = 14,
            RunningTokens = 33,
            Replicas = [new ReplicaDemand("r", pool, false, 1, 4, 25, 100, 0, 0)],
        });

        (await gateway.Client.GetStringAsync("/admin/pools", Token)).ShouldBe(
            """{"pools":[{"name":"tiny-cpu","model":"tiny","class":"cpu","state":"ready","desired":1,"ready":1,"pendingTokens":24,"runningTokens":33,"kvUsed":0.25,"lastDecision":{"at":"2023-11-14T22:13:20+00:00","replicas":1,"active":true,"reasons":["24 pending tokens"]}}]}""");
        var decisions = await gateway.Client.GetStringAsync("/admin/pools/tiny-cpu/decisions", Token);
        decisions.ShouldStartWith("""{"pool":"tiny-cpu","decisions":[{"at":"2023-11-14T22:13:20+00:00","replicas":1,"active":true,"reasons":["24 pending tokens"],"inputs":{""");
        decisions.ShouldContain("\"workSeconds\":9.3,");
    }

    [Fact]
    public async Task A_pool_at_zero_has_no_decision_and_no_work()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        (await gateway.Client.GetStringAsync("/admin/pools", Token)).ShouldBe(
            """{"pools":[{"name":"tiny-cpu","model":"tiny","class":"cpu","state":"zero","desired":0,"ready":0,"pendingTokens":0,"runningTokens":0,"kvUsed":0,"lastDecision":null}]}""");
    }

    [Fact]
    public async Task Health_and_metrics_are_served()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        (await gateway.Client.GetAsync("/healthz", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await gateway.Client.GetAsync("/readyz", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        using var refused = await gateway.PostAsync("/v1/chat/completions", """{"model":"absent","messages":[{"role":"user","content":"Hello"}]}""", Token);
        await refused.Content.ReadAsStringAsync(Token); // read to its end its connection takes the next request, which waits until the server is done with this one

        var metrics = await gateway.Client.GetStringAsync("/metrics", Token);

        metrics.ShouldContain("serverless_gateway_refusals_total");
        metrics.ShouldContain("gen_ai_request_model=\"_other\"");
        metrics.ShouldNotContain("absent");
    }

    private sealed class OneDecision(ScaleDecision decision) : IScaleJournal
    {
        public ScaleDecision? Latest(PoolName pool) => decision;

        public IReadOnlyList<ScaleDecision> History(PoolName pool) => [decision];
    }
}
