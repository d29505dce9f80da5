using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Requests;
using Shouldly;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>What models cost the broker that nobody asks for, and how large a backlog a consumer holds.</summary>
public sealed class ManyModelsTests(SharedRabbitMq broker)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Models_that_nobody_asked_for_have_no_queue_and_no_consumer()
    {
        var server = await broker.GetAsync();
        await using var client = new RabbitMqClient(server);
        var models = Enumerable.Range(0, 50).Select(number => new ModelName($"idle-{number}")).ToArray();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var watching = client.Queue.WatchArrivalsAsync(stop.Token).FirstAsync(model => model == models[7], stop.Token).AsTask();
        var consuming = models.Select(model => client.Queue.ConsumeAsync(model, stop.Token).FirstOrDefaultAsync(stop.Token).AsTask()).ToArray();

        var request = TestRequests.New(models[7]);
        (await client.Queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();

        await watching.WithinLimitAsync();
        (await consuming[7].WithinLimitAsync()).ShouldNotBeNull().Request.Id.ShouldBe(request.Id);
        (await QueuesAsync(server, client.Prefix)).ShouldBe([client.Link.Topology.DeadLetters, client.Link.Topology.Durable(models[7]), client.Link.Topology.Transient(models[7])], ignoreOrder: true);
        await stop.CancelAsync();
        await Task.WhenAll(consuming.Select(task => task.ContinueWith(_ => { }, Token, TaskContinuationOptions.None, TaskScheduler.Default)));
    }

    [Fact]
    public async Task A_gateway_that_connects_is_told_what_waits_already()
    {
        var server = await broker.GetAsync();
        await using var before = new RabbitMqClient(server);
        var request = TestRequests.New(new ModelName("waits")) with { Promise = Promise.Id };
        (await before.Queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();

        await using var later = new RabbitMqClient(server, before.Prefix, catalog: TestCatalog.Of(request.Model, new ModelName("never")));
        await using var arrivals = later.Queue.WatchArrivalsAsync(Token).Enumerate(Token);

        (await arrivals.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        arrivals.Current.ShouldBe(request.Model);
    }

    [Fact]
    public async Task A_consumer_holds_no_more_than_the_process_may_and_works_a_backlog_off_in_order()
    {
        const int requests = 200;
        await using var client = new RabbitMqClient(await broker.GetAsync(), settings: new Dictionary<string, string?> { ["RabbitMq:MaxOutstandingBytes"] = $"{1024 * 1024}" });
        var body = new byte[64 * 1024];
        body.AsSpan().Fill((byte)' ');
        "{}"u8.CopyTo(body);
        var model = new ModelName("large");
        var ids = new List<RequestId>();
        for (var number = 0; number < requests; number++)
        {
            var request = TestRequests.New(model) with { Body = body, Promise = Promise.Id };
            ids.Add(request.Id);
            (await client.Queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();
        }

        await using var deliveries = client.Queue.ConsumeAsync(model, Token).Enumerate(Token);
        var (held, most) = (new Queue<IRequestDelivery>(), 0L);
        foreach (var id in ids)
        {
            (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            deliveries.Current.Request.Id.ShouldBe(id);
            held.Enqueue(deliveries.Current);
            most = Math.Max(most, client.Outstanding.Held);
            if (held.Count == 16) await held.Dequeue().CompleteAsync(Token);
        }

        most.ShouldBeLessThanOrEqualTo(2 * 1024 * 1024); // the budget, and one window that was given before it was full
        while (held.TryDequeue(out var last)) await last.CompleteAsync(Token);
        (await client.Queue.DepthAsync(model, Token)).Requests.ShouldBe(0);
        client.Outstanding.Held.ShouldBe(0);
    }

    [Fact]
    public async Task A_backlog_of_small_requests_is_taken_whole()
    {
        const int requests = 500;
        await using var client = new RabbitMqClient(await broker.GetAsync());
        var model = new ModelName("small");
        await Task.WhenAll(Enumerable.Range(0, requests).Select(async _ => (await client.Queue.EnqueueAsync(TestRequests.New(model), Token)).Fault.ShouldBeNull()));

        await using var deliveries = client.Queue.ConsumeAsync(model, Token).Enumerate(Token);

        for (var number = 0; number < requests; number++) (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue(); // none is answered
    }

    private static async Task<List<string>> QueuesAsync(RabbitMqServer server, string prefix)
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String("guest:guest"u8));
        var queues = JsonNode.Parse(await http.GetStringAsync(new Uri(server.ManagementUrl, "api/queues/%2F?columns=name"), Token))!.AsArray();
        return [.. queues.Select(queue => queue!["name"]!.GetValue<string>()).Where(name => name.StartsWith(prefix, StringComparison.Ordinal))];
    }
}
