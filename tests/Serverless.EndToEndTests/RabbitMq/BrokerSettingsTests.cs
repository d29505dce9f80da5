using System.Net.Http.Headers;
using System.Net.Http.Json;
using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.RabbitMq.Connection;
using Shouldly;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>What is declared, and what is found out about a broker's settings.</summary>
public sealed class BrokerSettingsTests(SharedRabbitMq broker)
{
    private static readonly ModelName Model = new("tiny");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_policy_that_loses_requests_is_found_and_named()
    {
        var server = await broker.GetAsync();
        await using var client = new RabbitMqClient(server);
        await SetPolicyAsync(server, client.Prefix, new { pattern = $"^{client.Prefix}\\.", definition = new Dictionary<string, object> { ["max-length"] = 10, ["delivery-limit"] = 3 } });
        var session = await client.Link.SessionAsync(Token).WithinLimitAsync();
        await session.DeclareAllAsync([Model]);

        var findings = await client.Checks.FindAsync(server.ManagementUrl, session.Version, client.Link.Topology, [Model], Token);

        findings.ShouldContain($"The policy '{client.Prefix}' sets max-length = 10 on the queue '{client.Link.Topology.Transient(Model)}': requests will be lost by it; take our queues out of its pattern.");
        findings.ShouldContain(finding => finding.Contains("delivery-limit = 3", StringComparison.Ordinal) && finding.Contains(client.Link.Topology.Durable(Model), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Queues_that_are_as_they_should_be_give_no_finding_and_missing_ones_are_named_where_nobody_here_declares_them()
    {
        var server = await broker.GetAsync();
        await using var client = new RabbitMqClient(server);
        var session = await client.Link.SessionAsync(Token).WithinLimitAsync();
        await session.DeclareAllAsync([Model]);

        (await client.Checks.FindAsync(server.ManagementUrl, session.Version, client.Link.Topology, [Model], Token)).ShouldBeEmpty();
        (await client.Checks.FindAsync(server.ManagementUrl, session.Version, client.Link.Topology, [Model, new ModelName("other")], Token)).ShouldBeEmpty();
        await using var other = new RabbitMqClient(server, client.Prefix, settings: new Dictionary<string, string?> { ["RabbitMq:Declare"] = "false" });
        (await other.Checks.FindAsync(server.ManagementUrl, session.Version, client.Link.Topology, [Model, new ModelName("other")], Token)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task An_operator_declares_and_is_told_what_differs()
    {
        var server = await broker.GetAsync();
        var options = new RabbitMqOptions { Url = server.Url, Prefix = $"test-{Guid.NewGuid():n}" };
        var queues = new Topology(options.Prefix);
        await using (var raw = await RawBroker.ConnectAsync(server, Token))
        {
            await raw.DeclareAsync(queues.Durable(Model), new Dictionary<string, object?> { ["x-queue-type"] = "classic" }, Token);
        }

        var (version, differences) = await BrokerSetup.DeclareAsync(options, [Model], Token);

        version.ShouldNotBe(default);
        differences.ShouldHaveSingleItem().ShouldContain(queues.Durable(Model));
        await using var after = await RawBroker.ConnectAsync(server, Token);
        (await after.PeekAsync(queues.Transient(Model), Token)).ShouldBeNull();
        (await after.PeekAsync(queues.DeadLetters, Token)).ShouldBeNull();
    }

    [Fact]
    public async Task A_broker_that_is_not_there_is_told_in_a_sentence()
    {
        await broker.GetAsync();
        var options = new RabbitMqOptions { Url = new Uri($"amqp://guest:guest@127.0.0.1:{PartProcess.FreePort()}/") };

        var refused = await Should.ThrowAsync<BrokerException>(() => BrokerSetup.DeclareAsync(options, [Model], Token));

        refused.Message.ShouldContain($"{options.Url.Port}");
        refused.Message.ShouldNotContain("guest:guest");
    }

    private static async Task SetPolicyAsync(RabbitMqServer server, string name, object policy)
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String("guest:guest"u8));
        using var answer = await http.PutAsJsonAsync(new Uri(server.ManagementUrl, $"api/policies/%2F/{name}"), policy, Token);
        answer.EnsureSuccessStatusCode();
    }
}
