using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Hosting.RabbitMq.Queues;
using Serverless.Requests;
using Shouldly;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>Who wakes by what: names over the exchange, and looks where nothing was named.</summary>
public sealed class ArrivalsTests(SharedRabbitMq broker)
{
    private readonly ModelName _model = new("tiny");

    /// <summary>After the model in the catalogue and with something waiting: when it is named, the first look has passed the model.</summary>
    private readonly ModelName _marker = new("zz-marker");

    private readonly TestClock _clock = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_consumer_that_leaves_nothing_wakes_nobody()
    {
        await using var client = new RabbitMqClient(await broker.GetAsync());
        await using var watch = client.Queue.WatchArrivalsAsync(Token).Enumerate(Token);
        (await client.Queue.EnqueueAsync(New(_model), Token)).Fault.ShouldBeNull();
        await using (var deliveries = client.Queue.ConsumeAsync(_model, Token).Enumerate(Token))
        {
            (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            await deliveries.Current.CompleteAsync(Token);
            await TwiceAsync(client, watch, []); // what was due of the enqueue is said by now
        }

        var named = new List<ModelName>();
        await TwiceAsync(client, watch, named);
        named.ShouldNotContain(_model);
    }

    [Fact]
    public async Task What_is_published_without_a_name_is_found_by_a_look()
    {
        var server = await broker.GetAsync();
        await using var raw = await RawBroker.ConnectAsync(server, Token);
        await using var client = new RabbitMqClient(server, catalog: TestCatalog.Of(_model, _marker));
        await (await client.Link.SessionAsync(Token)).DeclareAllAsync([_model]);
        (await client.Queue.EnqueueAsync(New(_marker), Token)).Fault.ShouldBeNull();
        await using var watch = Watch(client);
        await NamedAsync(watch, _marker);

        await PublishAsync(raw, client, New(_model), Envelope.Latest);
        _clock.Advance(Arrivals.LookInterval);

        await NamedAsync(watch, _model);
    }

    [Fact]
    public async Task A_queue_that_is_made_by_hand_is_found_by_a_look()
    {
        var server = await broker.GetAsync();
        await using var raw = await RawBroker.ConnectAsync(server, Token);
        await using var client = new RabbitMqClient(server, catalog: TestCatalog.Of(_model, _marker));
        (await client.Queue.EnqueueAsync(New(_marker), Token)).Fault.ShouldBeNull();
        await using var watch = Watch(client);
        await NamedAsync(watch, _marker);

        await DeclareAsync(raw, client);
        await PublishAsync(raw, client, New(_model), Envelope.Latest);
        _clock.Advance(Arrivals.LookInterval);

        await NamedAsync(watch, _model);
    }

    [Fact]
    public async Task A_queue_that_an_earlier_release_made_is_found_while_such_are_expected()
    {
        var server = await broker.GetAsync();
        await using var raw = await RawBroker.ConnectAsync(server, Token);
        await using var client = new RabbitMqClient(server, settings: new Dictionary<string, string?> { ["RabbitMq:EnvelopeVersion"] = "1" }, catalog: TestCatalog.Of(_model, _marker), time: _clock);
        (await client.Queue.EnqueueAsync(New(_marker), Token)).Fault.ShouldBeNull();
        await using var watch = client.Queue.WatchArrivalsAsync(Token).Enumerate(Token);
        await using var deliveries = client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        var delivered = deliveries.MoveNextAsync().WithinLimitAsync();
        await NamedAsync(watch, _marker);

        var request = New(_model);
        await DeclareAsync(raw, client);
        await PublishAsync(raw, client, request, 1);
        _clock.Advance(Arrivals.LookInterval);

        await NamedAsync(watch, _model);
        (await delivered).ShouldBeTrue();
        deliveries.Current.Request.Id.ShouldBe(request.Id);
    }

    [Fact]
    public async Task Without_the_exchange_it_is_said_once_and_looks_find_what_waits()
    {
        var server = await broker.GetAsync();
        await using var raw = await RawBroker.ConnectAsync(server, Token);
        await using var client = new RabbitMqClient(server, settings: new Dictionary<string, string?> { ["RabbitMq:Declare"] = "false" }, catalog: TestCatalog.Of(_model));
        await DeclareAsync(raw, client);
        await using var watch = Watch(client);
        var named = NamedAsync(watch, _model);
        var line = await client.Log.WaitForAsync(client.Link.Topology.Arrivals);

        (await client.Queue.EnqueueAsync(New(_model), Token)).Fault.ShouldBeNull();
        _clock.Advance(Arrivals.LookInterval);

        await named;
        line.ShouldContain("serverless topology");
        client.Log.All.Count(said => said.Contains(client.Link.Topology.Arrivals, StringComparison.Ordinal) && said.Contains("cannot be named", StringComparison.Ordinal)).ShouldBeLessThanOrEqualTo(2); // one of each Arrivals here
    }

    private static InferenceRequest New(ModelName model) => TestRequests.New(model) with { Promise = Promise.Id };

    private static async Task NamedAsync(IAsyncEnumerator<ModelName> watch, ModelName model)
    {
        do (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        while (watch.Current != model);
    }

    /// <summary>Enqueues to the marker until it was named when it was announced and by the passes that say what is due: whatever was due when this began has been said by then.</summary>
    private async Task TwiceAsync(RabbitMqClient client, IAsyncEnumerator<ModelName> watch, List<ModelName> named)
    {
        for (var pass = 0; pass < 2; pass++)
        {
            (await client.Queue.EnqueueAsync(New(_marker), Token)).Fault.ShouldBeNull();
            for (var seen = 0; seen < 3;)
            {
                (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
                named.Add(watch.Current);
                if (watch.Current == _marker) seen++;
            }
        }
    }

    /// <summary>Of this test's clock, on the client's connection.</summary>
    private IAsyncEnumerator<ModelName> Watch(RabbitMqClient client) => new Arrivals(client.Link, _clock, client.Log.CreateLogger<Arrivals>()).WatchAsync(Token).Enumerate(Token);

    private async Task DeclareAsync(RawBroker raw, RabbitMqClient client)
    {
        foreach (var queue in client.Link.Topology.Declarations([_model], (await client.Link.SessionAsync(Token)).Version, client.Link.Options.LongestWait).Where(queue => queue.Exchange is null))
        {
            await raw.DeclareAsync(queue.Name, queue.Arguments.ToDictionary(argument => argument.Key, argument => (object?)argument.Value), Token);
        }
    }

    private static async Task PublishAsync(RawBroker raw, RabbitMqClient client, InferenceRequest request, int version)
    {
        using var message = Envelope.Wrap(request, version, int.MaxValue, TimeProvider.System.GetUtcNow(), out _).ShouldNotBeNull();
        await raw.PublishAsync(client.Link.Topology.Durable(request.Model), message.Properties, message.Body, Token);
    }
}
