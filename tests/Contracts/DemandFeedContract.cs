using System.Text.Json;
using Serverless.Catalog;
using Serverless.Demand;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IDemandFeed"/> does, between a publisher and a reader that may be in two processes.</summary>
public abstract class DemandFeedContract
{
    private static readonly DateTimeOffset At = DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123);

    private readonly ModelName _model = new($"model-{Guid.NewGuid():n}");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The reader's clock.</summary>
    protected abstract DateTimeOffset Now { get; }

    /// <summary>Lets time pass, for both ends and the store.</summary>
    protected abstract Task PassAsync(TimeSpan time);

    /// <summary>A renewal has reached the reader.</summary>
    protected virtual Task RenewedAsync() => Task.CompletedTask;

    /// <summary>Two ends of one feed. The subclass disposes of them.</summary>
    protected abstract ValueTask<(IDemandFeed Publisher, IDemandFeed Reader)> CreateAsync();

    [Fact]
    public async Task What_is_published_arrives_whole()
    {
        var (publisher, reader) = await CreateAsync();
        var demand = new ModelDemand
        {
            Model = _model,
            At = At,
            PendingRequests = 3,
            PendingPromptTokens = long.MaxValue,
            PendingOutputTokens = 5,
            OldestPendingAt = At.AddSeconds(-2),
            RunningRequests = 6,
            RunningTokens = 7,
            RunningOutputTokens = 8,
            PromptTokensPerSecond = 0.1,
            OutputTokensPerSecond = 1e300,
            Replicas = [new ReplicaDemand("replica ä", new PoolName("pool"), true, 1, 2, 3, 4, 5.5, 6.5)],
        };
        publisher.Latest(_model).ShouldBeNull();
        await using var watch = reader.WatchAsync(_model, Token).Enumerate(Token);

        publisher.Publish(demand);

        (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        // When it was last true is by the reader's clock.
        JsonSerializer.Serialize(watch.Current with { At = At }).ShouldBe(JsonSerializer.Serialize(demand));
        JsonSerializer.Serialize(reader.Latest(_model)! with { At = At }).ShouldBe(JsonSerializer.Serialize(demand));
        publisher.Latest(_model).ShouldNotBeNull();
    }

    [Fact]
    public async Task Whoever_watches_sees_the_last_and_never_goes_back()
    {
        const int Last = 500;
        var (publisher, reader) = await CreateAsync();
        await using var watch = reader.WatchAsync(_model, Token).Enumerate(Token);

        for (var i = 1; i <= Last; i++) publisher.Publish(new ModelDemand { Model = _model, At = At, PendingRequests = i });

        for (var seen = 0; seen < Last;)
        {
            (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            watch.Current.PendingRequests.ShouldBeGreaterThan(seen);
            seen = watch.Current.PendingRequests;
        }

        publisher.Latest(_model).ShouldNotBeNull().PendingRequests.ShouldBe(Last);
    }

    [Fact]
    public async Task Models_do_not_see_each_others_demand()
    {
        var (publisher, reader) = await CreateAsync();
        var other = new ModelName($"model-{Guid.NewGuid():n}");
        await using var watch = reader.WatchAsync(_model, Token).Enumerate(Token);

        publisher.Publish(new ModelDemand { Model = other, At = At, PendingRequests = 9 });
        publisher.Publish(new ModelDemand { Model = _model, At = At, PendingRequests = 1 });

        (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        watch.Current.PendingRequests.ShouldBe(1);
    }

    [Fact]
    public async Task A_watcher_that_comes_late_sees_what_there_is()
    {
        var (publisher, reader) = await CreateAsync();
        publisher.Publish(new ModelDemand { Model = _model, At = At, PendingRequests = 1 });
        await using (var early = reader.WatchAsync(_model, Token).Enumerate(Token)) await early.MoveNextAsync().WithinLimitAsync();

        await using var late = reader.WatchAsync(_model, Token).Enumerate(Token);

        (await late.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        late.Current.PendingRequests.ShouldBe(1);
    }

    [Fact]
    public async Task The_demand_of_a_model_that_moved_is_its_new_dispatchers()
    {
        var (first, second) = await CreateAsync();
        first.Publish(new ModelDemand { Model = _model, At = At, PendingRequests = 1 });
        await using var watch = second.WatchAsync(_model, Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();
        await using var old = first.WatchAsync(_model, Token).Enumerate(Token);
        await old.MoveNextAsync().WithinLimitAsync();

        second.Publish(new ModelDemand { Model = _model, At = At, PendingRequests = 2 });

        (await old.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        old.Current.PendingRequests.ShouldBe(2);
    }

    [Fact]
    public async Task What_is_renewed_is_as_young_as_its_renewal_though_nothing_else_of_it_changed()
    {
        var (publisher, reader) = await CreateAsync();
        publisher.Publish(new ModelDemand { Model = _model, At = Now, PendingRequests = 1 });
        await using var watch = reader.WatchAsync(_model, Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();
        await PassAsync(TimeSpan.FromSeconds(3));
        publisher.Renew(Now);
        await RenewedAsync();

        var renewed = reader.Latest(_model).ShouldNotBeNull();
        renewed.PendingRequests.ShouldBe(1);
        renewed.Age(Now).ShouldBeLessThan(TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task What_is_withdrawn_ages_though_its_publisher_lives_on()
    {
        var (publisher, reader) = await CreateAsync();
        publisher.Publish(new ModelDemand { Model = _model, At = Now, PendingRequests = 1 });
        await using var watch = reader.WatchAsync(_model, Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();
        publisher.Withdraw(_model);
        await PassAsync(TimeSpan.FromSeconds(3));

        publisher.Renew(Now);
        await RenewedAsync();

        if (reader.Latest(_model) is { } left) left.Age(Now).ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task A_watcher_that_is_cancelled_stops()
    {
        var (_, reader) = await CreateAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var watch = reader.WatchAsync(_model, stop.Token).Enumerate(stop.Token);
        var next = watch.MoveNextAsync().AsTask();

        await stop.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(next.WithinLimitAsync());
    }
}
