using System.Net;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Scaler.Keda;
using Serverless.Scaler.Listening;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>A scaler's Redis hangs, longer than its plan may be old, and comes back.</summary>
public sealed class HungRedisScalerTests : IAsyncDisposable
{
    private const int Most = 5;

    private static readonly Model Declared = new()
    {
        Name = new ModelName("hung"),
        Family = "test",
        Source = new ModelSource("simulated", "hung"),
        ContextTokens = 1000,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
        Scaling = new ScalingConfig { MaxReplicas = Most },
    };

    private static readonly ScaledObjectRef Pool = new() { Name = "hung-cpu", Namespace = "serverless" };

    private readonly List<IAsyncDisposable> _started = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var started in Enumerable.Reverse(_started)) await started.DisposeAsync();
    }

    [Fact]
    public async Task Answers_stay_what_they_were_while_Redis_hangs_and_follow_the_work_again_afterwards()
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        var redis = Keep(await RedisServer.StartNewAsync(Token));
        var app = await ServeAsync(redis);
        var dispatcher = Keep(await RedisParts.OpenAsync(redis, Token));
        var demand = await dispatcher.DemandAsync(Token);
        using var lives = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var renewing = RenewAsync(demand, lives.Token);
        using var channel = GrpcChannel.ForAddress(app.Urls.Single());
        var keda = new ExternalScaler.ExternalScalerClient(channel);
        var health = new Health.HealthClient(channel);
        using var fresh = health.Watch(new HealthCheckRequest { Service = ScalerHealth.Fresh }, cancellationToken: Token);
        using var pushed = keda.StreamIsActive(Pool, cancellationToken: Token);

        demand.Publish(Waiting(20));
        await UntilAsync(pushed.ResponseStream, said => said.Result);
        await PlannedAsync(app, decision => decision.Replicas > 0);
        await UntilAsync(fresh.ResponseStream, said => said.Status == HealthCheckResponse.Types.ServingStatus.Serving);

        await redis.Process.SignalAsync("STOP");
        int before;
        try
        {
            demand.Publish(Waiting(21));
            await UntilAsync(fresh.ResponseStream, said => said.Status == HealthCheckResponse.Types.ServingStatus.NotServing);

            // The plan may have grown until Redis stopped, but not since: nobody has heard of a planner for longer than a message is on its way.
            var plans = app.Services.GetRequiredService<ScalePlans>();
            before = plans.Latest(new PoolName(Pool.Name)).ShouldNotBeNull().Replicas;
            before.ShouldBeInRange(1, Most - 1);

            // Many at once: none waits for Redis behind another.
            var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => ReplicasAsync(keda)));
            answers.ShouldAllBe(replicas => replicas == before);
            (await keda.IsActiveAsync(Pool, deadline: Soon(), cancellationToken: Token)).Result.ShouldBeTrue();
            using var another = keda.StreamIsActive(Pool, deadline: Soon(), cancellationToken: Token);
            (await another.ResponseStream.MoveNext(Token)).ShouldBeTrue();
            another.ResponseStream.Current.Result.ShouldBeTrue();
            (await health.CheckAsync(new HealthCheckRequest { Service = ScalerHealth.Answers }, deadline: Soon(), cancellationToken: Token)).Status.ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
            (await health.CheckAsync(new HealthCheckRequest { Service = ScalerHealth.Live }, deadline: Soon(), cancellationToken: Token)).Status.ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        }
        finally
        {
            await redis.Process.SignalAsync("CONT");
        }

        await UntilAsync(fresh.ResponseStream, said => said.Status == HealthCheckResponse.Types.ServingStatus.Serving);
        demand.Publish(Waiting(100_000)); // up to the bound, whatever the steps: there the plan stays
        await PlannedAsync(app, decision => decision.Replicas == Most);
        (await ReplicasAsync(keda)).ShouldBe(Most);
        app.Services.GetRequiredService<ScalePlans>().History(new PoolName(Pool.Name)).SkipWhile(decision => !decision.Active)
            .Where(decision => !decision.Active || decision.Replicas == 0).Select(decision => $"{decision.Replicas}: {string.Join("; ", decision.Reasons)}").ShouldBeEmpty("work was pending all the time");

        demand.Publish(Waiting(0));
        await UntilAsync(pushed.ResponseStream, said => !said.Result);
        await PlannedAsync(app, decision => decision.Replicas == 0);
        (await ReplicasAsync(keda)).ShouldBe(0);
        await lives.CancelAsync();
        await renewing;
    }

    /// <summary>A dispatcher that lives stands by what it said.</summary>
    private static async Task RenewAsync(RedisDemandFeed demand, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken)) demand.Renew(TimeProvider.System.GetUtcNow());
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    /// <summary>Requests of 100 tokens.</summary>
    private static ModelDemand Waiting(int requests) => new() { Model = Declared.Name, At = TimeProvider.System.GetUtcNow(), PendingRequests = requests, PendingPromptTokens = 100 * requests, PendingOutputTokens = 100 * requests };

    private static DateTime Soon() => TimeProvider.System.GetUtcNow().UtcDateTime + TimeSpan.FromSeconds(10);

    /// <summary>KEDA's poll. Whatever befell Redis it is answered; without the handler's bound it would wait as long as Redis hangs.</summary>
    private static async Task<int> ReplicasAsync(ExternalScaler.ExternalScalerClient keda) =>
        (int)(await keda.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = Pool, MetricName = "desired-replicas" }, deadline: Soon(), cancellationToken: Token)).MetricValues.Single().MetricValueFloat;

    private static async Task<int> PlannedAsync(WebApplication app, Func<ScaleDecision, bool> matches) =>
        (await app.Services.GetRequiredService<ScalePlans>().UntilAsync(new PoolName(Pool.Name), matches)).Replicas;

    private static async Task UntilAsync<T>(IAsyncStreamReader<T> stream, Func<T, bool> matches)
    {
        while (await stream.MoveNext(Token).WithinLimitAsync())
        {
            if (matches(stream.Current)) return;
        }

        throw new InvalidOperationException("The stream ended.");
    }

    /// <summary>A scaler as it is deployed, over that Redis; its health is looked at each second, and its window is short so that the test is.</summary>
    private async Task<WebApplication> ServeAsync(RedisServer redis)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection([new("Redis:Configuration", redis.Configuration)]);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenScaler(new IPEndPoint(IPAddress.Loopback, 0)));
        builder.Services
            .AddSingleton(TimeProvider.System)
            .AddSingleton<ICatalogSource>(new TestCatalog(new ModelCatalog([Declared])))
            .AddSingleton(new PlannerOptions { Window = TimeSpan.FromSeconds(1) })
            .AddRedisFeeds()
            .AddRedisPlans()
            .AddScaler()
            .Configure<HealthCheckPublisherOptions>(options => (options.Delay, options.Period) = (TimeSpan.Zero, TimeSpan.FromSeconds(1)));
        var app = builder.Build();
        app.MapScaler();
        await app.StartAsync(Token);
        return Keep(app);
    }

    private T Keep<T>(T part)
        where T : IAsyncDisposable
    {
        _started.Add(part);
        return part;
    }
}
