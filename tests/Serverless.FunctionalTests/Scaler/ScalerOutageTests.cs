using Grpc.Health.V1;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Demand;
using Serverless.Requests;
using Serverless.Scaler.Keda;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>What KEDA is told while dispatchers are silent, stores hang, and figures are nonsense: the last good answer, in bounded time.</summary>
public sealed class ScalerOutageTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_store_that_hangs_delays_an_answer_by_a_quarter_of_a_second_and_changes_none()
    {
        var store = new HungStore();
        await using var host = await StartAsync(store);
        host.Publish(12_000);
        var planned = await host.PlanAsync();
        await host.PlanAsync();
        planned.Replicas.ShouldBe(3);
        (await HealthAsync(host)).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);

        store.Hangs = true;
        host.Time.Advance(TimeSpan.FromSeconds(4));
        var metric = host.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerHost.Reference() }, cancellationToken: Token).ResponseAsync;
        var active = host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token).ResponseAsync;
        await store.Asked.WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
        await PassAsync(host, Task.WhenAll(metric, active), TimeSpan.FromMilliseconds(250));

        (await metric).MetricValues.ShouldHaveSingleItem().MetricValueFloat.ShouldBe(3);
        (await active).Result.ShouldBeTrue();
        (await host.Client.GetMetricSpecAsync(ScalerHost.Reference(), cancellationToken: Token)).MetricSpecs.ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Health_tells_of_a_store_that_hangs_and_answers_go_on()
    {
        var store = new HungStore();
        await using var host = await StartAsync(store);
        host.Publish(12_000);
        await host.PlanAsync();
        await host.PlanAsync();

        store.Hangs = true;
        host.Time.Advance(TimeSpan.FromSeconds(16));

        (await HealthAsync(host)).ShouldBe(HealthCheckResponse.Types.ServingStatus.NotServing);
        (await HealthAsync(host, ScalerHealth.Answers)).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        (await HealthAsync(host, ScalerHealth.Live)).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        using var stream = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token);
        (await stream.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeTrue();
        stream.ResponseStream.Current.Result.ShouldBeTrue("the state on open is the last one known");

        store.Hangs = false;
        await host.PlanAsync();
        (await HealthAsync(host)).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
    }

    [Fact]
    public async Task When_dispatchers_are_silent_what_waits_in_the_broker_is_answered()
    {
        var store = new HungStore();
        await using var host = await StartAsync(store);
        host.Publish(0);
        (await host.PlanAsync()).Replicas.ShouldBe(0);

        host.Time.Advance(TimeSpan.FromSeconds(6));
        store.Waiting = 12;
        await host.Services.GetRequiredService<BelievedDemand>().AskAsync(Token);
        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeTrue("the latch needs no plan");
        await host.PlanAsync();

        (await MetricAsync(host)).ShouldBe(5, "twelve mean requests are more than the five replicas allowed drain");
        host.Plans.Latest(ScalerHost.Pool)!.Inputs!.PendingRequests.ShouldBe(12);
    }

    [Fact]
    public async Task When_dispatchers_are_silent_and_the_broker_hangs_or_is_away_the_plan_holds()
    {
        var store = new HungStore { Waiting = null };
        await using var host = await StartAsync(store);
        host.Publish(12_000);
        await host.PlanAsync();

        host.Time.Advance(TimeSpan.FromMinutes(30));
        await host.Services.GetRequiredService<BelievedDemand>().AskAsync(Token);
        (await host.PlanAsync()).Active.ShouldBeTrue();
        (await MetricAsync(host)).ShouldBe(3);

        store.Hangs = true;
        var asking = host.Services.GetRequiredService<BelievedDemand>().AskAsync(Token);
        await PassAsync(host, asking, TimeSpan.FromSeconds(2));
        store.Hangs = false;
        await host.PlanAsync();
        (await MetricAsync(host)).ShouldBe(3);
        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeTrue();
    }

    [Fact]
    public async Task Figures_that_are_nonsense_are_answered_with_whole_numbers_within_the_bounds()
    {
        await using var host = await ScalerHost.StartAsync();
        var feed = host.Services.GetRequiredService<IDemandFeed>();
        foreach (var wild in new[] { double.NaN, double.PositiveInfinity, double.NegativeInfinity, -1 })
        {
            foreach (var count in new[] { -5, int.MinValue, int.MaxValue })
            {
                host.Time.Advance(TimeSpan.FromSeconds(1));
                feed.Publish(new ModelDemand
                {
                    Model = host.Model.Name,
                    At = host.Time.GetUtcNow(),
                    PendingRequests = count,
                    PendingPromptTokens = long.MinValue,
                    PromptTokensPerSecond = wild,
                    OutputTokensPerSecond = wild,
                    RecentPromptTokensPerSecond = wild,
                    RequestsPerSecond = wild,
                    OutputShare = wild,
                    ServedTokensPerSecond = wild,
                    Replicas = [new ReplicaDemand("r", ScalerHost.Pool, false, count, count, count, count, wild, wild) { CachedPromptShare = wild }],
                });
                await host.PlanAsync();

                var answer = await MetricAsync(host);
                answer.ShouldBe(Math.Truncate(answer));
                answer.ShouldBeInRange(count > 0 ? 1 : 0, 5);
                (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBe(count > 0);
            }
        }
    }

    [Fact]
    public async Task A_clock_that_jumps_leaves_the_answer_as_it_is()
    {
        await using var host = await ScalerHost.StartAsync();
        host.Publish(12_000);
        await host.PlanAsync();

        foreach (var jump in new[] { TimeSpan.FromHours(-1), TimeSpan.FromDays(400), TimeSpan.FromDays(-800), TimeSpan.FromMinutes(1) })
        {
            host.Time.Set(host.Time.GetUtcNow() + jump);
            await host.PlanAsync();
            (await MetricAsync(host)).ShouldBe(3, $"demand was told before a jump of {jump}");

            host.Publish(12_000);
            await host.PlanAsync();
            (await MetricAsync(host)).ShouldBe(3, $"demand was told after a jump of {jump}");
        }
    }

    private static Task<ScalerHost> StartAsync(HungStore store) => ScalerHost.StartAsync(configure: services => services.AddSingleton<IPlanFeed>(store).AddSingleton<IRequestQueue>(store));

    private static async Task<double> MetricAsync(ScalerHost host) =>
        (await host.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerHost.Reference() }, cancellationToken: Token)).MetricValues.ShouldHaveSingleItem().MetricValueFloat;

    private static async Task<HealthCheckResponse.Types.ServingStatus> HealthAsync(ScalerHost host, string service = ScalerHealth.Fresh) =>
        (await new Health.HealthClient(host.Channel).CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: Token)).Status;

    /// <summary>Lets time pass, in steps of that length, until the call is back: each is bounded by the clock, however late it arms its limit.</summary>
    private static async Task PassAsync(ScalerHost host, Task call, TimeSpan step)
    {
        await host.Time.PassUntilAsync(call, step);

        await call;
    }
}
