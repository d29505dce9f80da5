using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>No dispatcher speaks, and requests wait in a real broker: the scaler asks it.</summary>
public sealed class SilentDispatcherTests(SharedRabbitMq broker)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_waits_in_the_broker_brings_a_pool_up()
    {
        await using var client = new RabbitMqClient(await broker.GetAsync());
        var model = new ModelName("silent");
        var catalog = TestCatalog.Of(model);
        var options = new PlannerOptions();
        var believed = new BelievedDemand(client.Demand, catalog, options, TimeProvider.System, client.Queue);
        var feed = new MemoryPlanFeed();
        var writer = new PlanWriter(new PoolPlanner(options), options, believed, new MemoryCapacityFeed(), feed, TimeProvider.System);
        var plans = new ScalePlans(catalog, believed, TimeProvider.System);
        for (var request = 0; request < 3; request++) (await client.Queue.EnqueueAsync(TestRequests.New(model), Token)).Fault.ShouldBeNull();

        await believed.AskAsync(Token);
        await writer.WriteAsync(1, catalog.Current, null, Token);
        plans.Take((await feed.ReadAsync(Token))!);

        believed.Latest(model)!.PendingRequests.ShouldBe(3);
        var decision = plans.Latest(catalog.Current.Models[0].Pools[0].Name).ShouldNotBeNull();
        decision.Active.ShouldBeTrue();
        decision.Replicas.ShouldBeGreaterThan(0);
    }
}
