using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Documents;
using Serverless.EndToEndTests.Dapr;
using Serverless.Events;
using Shouldly;

namespace Serverless.EndToEndTests.Distributed;

/// <summary>The three apps and their sidecars as <c>dapr.yaml</c> says, with the shipped model: what they do together.</summary>
public sealed class DaprRunTests(DaprRun run) : IClassFixture<DaprRun>
{
    private const string Model = "smollm2-135m-instruct";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_chat_is_served()
    {
        await run.StartAsync();

        var answer = await run.PostAsync("/v1/chat/completions", Chat("What is the opposite of hot?"));

        answer.Status.ShouldBe(HttpStatusCode.OK, $"{answer.Body}{run.Output}");
        answer.Body!["choices"]![0]!["message"]!["content"]!.GetValue<string>().ShouldNotBeNullOrWhiteSpace();
    }

    [Fact]
    public async Task A_job_is_promised_and_its_record_read_through_the_sidecar_of_another_app()
    {
        await run.StartAsync();

        var promised = await run.PostAsync("/v1/chat/completions", Chat("Name a colour."), ("Prefer", "respond-async"));
        promised.Status.ShouldBe(HttpStatusCode.Accepted, $"{promised.Body}{run.Output}");
        var id = promised.Body!["id"]!.GetValue<string>();
        var result = await run.ResultAsync(id);

        result.Type.ShouldBe("dev.serverless.request.completed");
        await using var other = DaprParts.ServicesOf(run.Apps.Sidecar("worker"));
        var document = await other.GetRequiredService<IDocumentStore>().GetAsync(new DocumentKey("requests", "local:local", id), Token);
        JsonNode.Parse(document.ShouldNotBeNull().Json.Span)!.ToJsonString().ShouldContain(id);
        var read = await run.GetAsync($"/v1/requests/{id}");
        read.Body!["status"]!.GetValue<string>().ShouldBe("completed");
    }

    [Fact]
    public async Task An_event_of_another_service_is_served_and_its_result_is_an_event()
    {
        await run.StartAsync();
        var asked = new CloudEvent
        {
            Id = $"order-{Guid.NewGuid():n}",
            Source = "/orders",
            Type = "dev.serverless.request",
            TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            Data = Encoding.UTF8.GetBytes($$$"""{"endpoint":"/v1/chat/completions","body":{{{Chat("Name a fruit.")}}},"metadata":{"order":7}}"""),
        };

        await run.Neighbour.PublishAsync(EventTopics.Requests, asked, Token);
        var result = await run.ResultAsync(cloudEvent => cloudEvent.TraceParent == asked.TraceParent);

        result.Type.ShouldBe("dev.serverless.request.completed", Encoding.UTF8.GetString(result.Data.Span));
        result.Subject.ShouldNotBeNullOrEmpty();
    }

    [Fact]
    public async Task Without_the_sidecar_no_id_is_given_and_a_chat_is_served()
    {
        await run.StartAsync();
        var sidecar = run.Apps.Sidecar("gateway");
        await sidecar.KillAsync();
        try
        {
            var promised = await run.PostAsync("/v1/chat/completions", Chat("Name a colour."), ("Prefer", "respond-async"));
            var served = await run.PostAsync("/v1/chat/completions", Chat("Name a colour."));

            promised.Status.ShouldBe(HttpStatusCode.ServiceUnavailable, $"{promised.Body}");
            promised.Body!["id"].ShouldBeNull();
            promised.Body["error"]!["code"]!.GetValue<string>().ShouldBe("store_unavailable");
            served.Status.ShouldBe(HttpStatusCode.OK, $"{served.Body}{run.Output}");
        }
        finally
        {
            await sidecar.StartAsync(CancellationToken.None);
            await sidecar.ServesAppAsync(CancellationToken.None);
        }

        await run.UntilAsync(() => run.PostAsync("/v1/chat/completions", Chat("Name a colour."), ("Prefer", "respond-async")), again => again.Status == HttpStatusCode.Accepted);
    }

    [Fact]
    public async Task The_scaler_of_its_own_process_plans_by_what_the_dispatcher_sees()
    {
        await run.StartAsync();
        await run.PostAsync("/v1/chat/completions", Chat("Name a colour."));

        var pools = await run.UntilAsync("/admin/pools", pools => pools["pools"]![0]!["lastDecision"] is not null);

        pools["pools"]![0]!["ready"]!.GetValue<int>().ShouldBe(1);
    }

    private static string Chat(string question) => JsonSerializer.Serialize(new { model = Model, messages = new[] { new { role = "user", content = question } }, temperature = 0, max_tokens = 8 });
}
