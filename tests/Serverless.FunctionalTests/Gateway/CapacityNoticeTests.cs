using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Notices;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>What becomes of pools as events.</summary>
public sealed class CapacityNoticeTests
{
    private const string Topic = "ops.capacity";

    private static readonly PoolName Pool = GatewayUnderTest.Model.Pools[0].Name;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_state_is_told_once_as_the_pool_comes_from_zero_and_goes_back()
    {
        await using var scene = await Scene.StartAsync();

        await scene.ShouldTellAsync("zero", null);
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 1 });
        await scene.ShouldTellAsync("starting", "zero");
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 1, UnschedulableSince = [scene.Time.GetUtcNow()] });
        await scene.ShouldTellAsync("no_room", "starting");
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 1, Ready = 1 });
        await scene.ShouldTellAsync("ready", "no_room");
        scene.Demand(pending: 1);
        var limited = await scene.ShouldTellAsync("at_limit", "ready");
        scene.Demand(pending: 0); // with each request that waits it would come and go
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 0, Ready = 0, Draining = 1 });
        await scene.ShouldTellAsync("draining", "at_limit");
        scene.Publish(new PoolCapacity { Pool = Pool, LastFailure = "The model file is gone." });
        (await scene.ShouldTellAsync("failed", "draining"))["lastFailure"]!.GetValue<string>().ShouldBe("The model file is gone.");

        (limited["model"]!.GetValue<string>(), limited["desired"]!.GetValue<int>(), limited["maxReplicas"]!.GetValue<int>(), limited["pendingTokens"]!.GetValue<long>()).ShouldBe(("tiny", 1, 1, 10));
    }

    [Fact]
    public async Task A_gateway_that_takes_a_model_over_tells_how_it_finds_it_and_one_that_has_it_not_tells_nothing()
    {
        await using var scene = await Scene.StartAsync(isHere: false);
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 1, Ready = 1 });
        await scene.Time.PassAsync(20);
        scene.Told.TryRead(out _).ShouldBeFalse();

        scene.IsHere = true;
        await scene.ShouldTellAsync("ready", null);
    }

    [Fact]
    public async Task While_the_topic_takes_nothing_states_are_passed_over_and_the_last_one_is_told()
    {
        await using var scene = await Scene.StartAsync();
        scene.IsAway = true;
        await scene.GiveUpAsync(); // "zero"
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 1 });
        await scene.GiveUpAsync(); // "starting"
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 1, Ready = 1 });
        await scene.GiveUpAsync();
        scene.IsAway = false;

        await scene.ShouldTellAsync("ready", null);
    }

    [Fact]
    public async Task A_state_that_was_given_up_and_stays_is_told_when_the_topic_takes_again()
    {
        await using var scene = await Scene.StartAsync();
        await scene.ShouldTellAsync("zero", null);
        scene.IsAway = true;
        scene.Publish(new PoolCapacity { Pool = Pool, Desired = 1, Ready = 1 });
        await scene.GiveUpAsync();
        scene.IsAway = false;

        await scene.ShouldTellAsync("ready", "zero");
    }

    private sealed class Scene : IAsyncDisposable
    {
        private GatewayUnderTest _gateway = null!;
        private CapacityNotices _notices = null!;
        private int _tries;

        public TestClock Time { get; } = new();

        public bool IsHere { get; set; } = true;

        public bool IsAway { get; set; }

        public int Tries => Volatile.Read(ref _tries);

        public System.Threading.Channels.ChannelReader<CloudEvent> Told => ((HookedBus)_gateway.Services.GetRequiredService<IEventBus>()).Of(Topic);

        public static async Task<Scene> StartAsync(bool isHere = true)
        {
            var scene = new Scene { IsHere = isHere };
            scene._gateway = await GatewayUnderTest.StartAsync(
                new() { ["Gateway:Notices:CapacityTopic"] = Topic },
                services => services.AddSingleton<IEventBus>(provider => new HookedBus(provider.GetRequiredService<MemoryEventBus>(), scene.Before)),
                new Backend(scene.Time));
            scene._notices = ActivatorUtilities.CreateInstance<CapacityNotices>(scene._gateway.Services, (Func<ModelName, bool>)(_ => scene.IsHere));
            await scene._notices.StartAsync(Token);
            return scene;
        }

        public void Publish(PoolCapacity capacity) => _gateway.Services.GetRequiredService<ICapacityFeed>().Publish(capacity);

        public void Demand(int pending) =>
            _gateway.Services.GetRequiredService<IDemandFeed>().Publish(new ModelDemand { Model = GatewayUnderTest.Model.Name, At = Time.GetUtcNow(), PendingRequests = pending, PendingPromptTokens = 10 * pending });

        /// <summary>What is to be told is tried until nobody has patience with it.</summary>
        public async Task GiveUpAsync()
        {
            Interlocked.Exchange(ref _tries, 0);
            await Time.PassUntilAsync(() => Tries > 0, "it is tried");
            await Time.PassAsync(2 * (int)EventNotices.Patience.TotalSeconds);
        }

        public async Task<JsonObject> ShouldTellAsync(string state, string? previous)
        {
            var next = Told.ReadAsync(Token).AsTask();
            await Time.PassUntilAsync(() => next.IsCompleted, $"'{state}' is told");
            var told = await next;
            var data = JsonNode.Parse(told.Data.Span)!.AsObject();
            (told.Type, told.Subject, told.Source, data["name"]!.GetValue<string>(), (string?)data["previous"]).ShouldBe(("dev.serverless.pool." + state, Pool.Value, "/serverless/gateway", Pool.Value, previous));
            return data;
        }

        public async ValueTask DisposeAsync()
        {
            await _notices.StopAsync(CancellationToken.None);
            _notices.Dispose();
            await _gateway.DisposeAsync();
        }

        private ValueTask<bool> Before(string topic, CloudEvent told)
        {
            if (topic != Topic || !IsAway) return new(true);

            Interlocked.Increment(ref _tries);
            throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The topic is away."));
        }
    }
}
