using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
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

    [Theory]
    [InlineData("[{}]")]
    [InlineData("{}")]
    [InlineData("[{\"name\":null,\"apply-to\":\"all\",\"pattern\":\".*\",\"priority\":\"x\",\"definition\":{\"delivery-limit\":\"many\"}}]")]
    [InlineData("not JSON")]
    [InlineData(null)] // does not answer at all
    public async Task A_management_api_of_another_kind_holds_nothing_up_and_is_worth_one_line(string? answer)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var answering = AnswerAsync(listener, answer, stop.Token);
        var url = $"http://guest:guest@127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/";
        await using var client = new RabbitMqClient(await broker.GetAsync(), settings: new Dictionary<string, string?> { ["RabbitMq:ManagementUrl"] = url });

        (await client.Queue.EnqueueAsync(TestRequests.New(Model), Token)).Fault.ShouldBeNull();
        client.Log.All.ShouldNotContain(line => line.Contains("management API", StringComparison.Ordinal) && answer == null); // it is not waited for
        await client.Log.WaitForAsync("The management API");
        await client.Checks.RunAsync(default, client.Link.Topology, [Model], Token);

        client.Log.All.Count(line => line.Contains("The management API", StringComparison.Ordinal)).ShouldBe(1);
        client.Log.All.Count(line => line.Contains("consumer_timeout", StringComparison.Ordinal)).ShouldBeLessThanOrEqualTo(1);
        await stop.CancelAsync();
        await answering;
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

    private static async Task AnswerAsync(TcpListener listener, string? answer, CancellationToken cancellationToken)
    {
        var open = new List<TcpClient>();
        try
        {
            while (true)
            {
                var caller = await listener.AcceptTcpClientAsync(cancellationToken);
                open.Add(caller);
                if (answer is null) continue;
                var stream = caller.GetStream();
                _ = await stream.ReadAsync(new byte[4096], cancellationToken);
                await stream.WriteAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {answer.Length}\r\n\r\n{answer}"), cancellationToken);
                caller.Close();
            }
        }
        catch (OperationCanceledException)
        {
        }
        finally
        {
            foreach (var caller in open) caller.Dispose();
        }
    }

    private static async Task SetPolicyAsync(RabbitMqServer server, string name, object policy)
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String("guest:guest"u8));
        using var answer = await http.PutAsJsonAsync(new Uri(server.ManagementUrl, $"api/policies/%2F/{name}"), policy, Token);
        answer.EnsureSuccessStatusCode();
    }
}
