using Grpc.Core;
using Grpc.Health.V1;
using Serverless.Scaler.Keda;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>KEDA's contract over the network, call by call.</summary>
public sealed class ExternalScalerContractTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_metric_is_desired_replicas_with_target_one_in_both_generations_of_fields()
    {
        await using var host = await ScalerHost.StartAsync();
        var reference = ScalerHost.Reference(("scalerAddress", "scaler:9090"), ("enableTLS", "true"), ("unsafeSsl", "false"));

        var spec = (await host.Client.GetMetricSpecAsync(reference, cancellationToken: Token)).MetricSpecs.ShouldHaveSingleItem();

        spec.ShouldSatisfyAllConditions(
            () => spec.MetricName.ShouldBe("desired-replicas"),
            () => spec.TargetSizeFloat.ShouldBe(1),
            () => spec.TargetSize.ShouldBe(1));
    }

    [Fact]
    public async Task Every_fault_of_the_metadata_is_named_at_once()
    {
        await using var host = await ScalerHost.StartAsync();
        var reference = ScalerHost.Reference(("pool", "nope"), ("metricTyp", "Value"), ("threshold", "5"));

        var error = await Should.ThrowAsync<RpcException>(async () => await host.Client.GetMetricSpecAsync(reference, cancellationToken: Token));

        error.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        foreach (var named in new[] { "serverless/m-cpu", "'metricTyp' = 'Value'", "'threshold' = '5'", "allowed are 'pool'", "'nope'", "there are m-cpu" }) error.Status.Detail.ShouldContain(named);
    }

    [Fact]
    public async Task A_pool_is_found_by_metadata_or_by_the_name_of_the_scaled_object()
    {
        await using var host = await ScalerHost.StartAsync();
        var other = new ScaledObjectRef { Name = "anything", Namespace = "serverless", ScalerMetadata = { ["pool"] = "m-cpu" } };
        host.Publish(20);
        await host.PlanAsync();

        (await host.Client.IsActiveAsync(other, cancellationToken: Token)).Result.ShouldBeTrue();
        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeTrue();
    }

    [Theory]
    [InlineData("desired-replicas", "desired-replicas")]
    [InlineData("", "desired-replicas")]
    [InlineData("as-an-older-spec-named-it", "as-an-older-spec-named-it")]
    public async Task The_value_comes_once_under_the_name_asked_for_in_both_generations_of_fields(string asked, string answered)
    {
        await using var host = await ScalerHost.StartAsync();
        host.Publish(12_000);
        var planned = (await host.PlanAsync()).Replicas;

        var value = (await host.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerHost.Reference(), MetricName = asked }, cancellationToken: Token)).MetricValues.ShouldHaveSingleItem();

        planned.ShouldBe(3);
        value.ShouldSatisfyAllConditions(
            () => value.MetricName.ShouldBe(answered),
            () => value.MetricValueFloat.ShouldBe(planned),
            () => value.MetricValue_.ShouldBe(planned));
    }

    [Fact]
    public async Task Before_the_first_plan_a_poll_waits_a_second_and_then_says_that_replicas_stay()
    {
        await using var host = await ScalerHost.StartAsync();

        var answer = host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token).ResponseAsync;
        await host.Time.PassUntilAsync(answer);

        var error = await Should.ThrowAsync<RpcException>(() => answer);
        error.StatusCode.ShouldBe(StatusCode.Unavailable);
        error.Status.Detail.ShouldContain("'m-cpu' has no plan yet");
        (await host.Client.GetMetricSpecAsync(ScalerHost.Reference(), cancellationToken: Token)).MetricSpecs.ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Before_the_first_plan_work_that_waits_is_answered_with_a_replica()
    {
        await using var host = await ScalerHost.StartAsync();
        host.Publish(20);

        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeTrue();
        (await host.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerHost.Reference() }, cancellationToken: Token)).MetricValues.Single().MetricValueFloat.ShouldBe(1);
    }

    [Fact]
    public async Task Work_younger_than_the_plan_is_never_answered_with_zero()
    {
        await using var host = await ScalerHost.StartAsync();
        await host.PlanAsync();
        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeFalse();

        host.Time.Advance(TimeSpan.FromSeconds(1));
        host.Publish(20);

        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeTrue("no planner has seen it");
        host.Plans.Latest(ScalerHost.Pool)!.Reasons.ShouldHaveSingleItem().ShouldContain("1 requests wait");
        host.Time.Advance(TimeSpan.FromSeconds(1));
        host.Publish(0);
        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeFalse("the plan holds again");
    }

    [Fact]
    public async Task A_stream_is_told_of_work_within_a_second_though_no_planner_is()
    {
        await using var host = await ScalerHost.StartAsync();
        await host.PlanAsync();
        using var call = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token);
        (await NextAsync(call)).ShouldBe(false);

        host.Time.Advance(TimeSpan.FromMilliseconds(10));
        host.Publish(20);
        host.LookAround();

        (await NextAsync(call)).ShouldBe(true);
    }

    [Fact]
    public async Task Ten_times_the_streams_of_Kestrels_limit_share_one_connection_with_the_polls()
    {
        await using var host = await ScalerHost.StartAsync();
        await host.PlanAsync();
        List<AsyncServerStreamingCall<IsActiveResponse>> calls = [];
        for (var i = 0; i < 1000; i++) calls.Add(host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token));

        await Task.WhenAll(calls.Select(NextAsync));
        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeFalse();

        foreach (var call in calls) call.Dispose();
    }

    [Fact]
    public async Task The_stream_sends_the_state_on_open_and_each_edge_at_once()
    {
        await using var host = await ScalerHost.StartAsync(planning: true);
        using var call = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token);

        (await NextAsync(call)).ShouldBe(false);
        host.Publish(20);
        (await NextAsync(call)).ShouldBe(true);
        host.Publish(0);
        (await NextAsync(call)).ShouldBe(false);
        host.Publish(0, running: 1);
        (await NextAsync(call)).ShouldBe(true);

        using var late = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token);
        (await NextAsync(late)).ShouldBe(true, "the state on open");
    }

    /// <summary>What must not be sent is shown by what comes next: a true would stand before the false.</summary>
    [Fact]
    public async Task The_heartbeat_comes_every_five_seconds_while_work_waits_at_no_ready_replica_and_not_otherwise()
    {
        await using var host = await ScalerHost.StartAsync();
        host.Publish(20);
        await host.PlanAsync();
        using var call = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token);
        (await NextAsync(call)).ShouldBe(true);

        for (var beat = 0; beat < 2; beat++)
        {
            var next = NextAsync(call);
            await SecondsAsync(host, 4, pending: 20);
            next.IsCompleted.ShouldBeFalse("four seconds are too early");
            await SecondsAsync(host, 1, pending: 20);
            (await next).ShouldBe(true);
        }

        host.Publish(new PoolCapacity { Pool = ScalerHost.Pool, Desired = 1, Ready = 1 });
        await SecondsAsync(host, 12, pending: 20);
        await SecondsAsync(host, 1, pending: 0);
        (await NextAsync(call)).ShouldBe(false, "a ready replica needs no heartbeat");

        host.Publish(new PoolCapacity { Pool = ScalerHost.Pool });
        await SecondsAsync(host, 12, pending: 0);
        await SecondsAsync(host, 1, pending: 20);
        (await NextAsync(call)).ShouldBe(true, "without work there is nothing to repeat");
    }

    [Fact]
    public async Task Streams_end_with_ok_when_the_scaler_stops()
    {
        await using var host = await ScalerHost.StartAsync(planning: true);
        using var states = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token);
        using var specs = host.Client.StreamMetricSpec(ScalerHost.Reference(), cancellationToken: Token);
        await NextAsync(states);
        (await specs.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeTrue();

        await host.StopAsync().WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);

        while (await states.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)) { }
        (await specs.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeFalse();
        states.GetStatus().StatusCode.ShouldBe(StatusCode.OK);
        specs.GetStatus().StatusCode.ShouldBe(StatusCode.OK);
    }

    [Fact]
    public async Task The_spec_is_streamed_on_open_and_is_the_one_that_is_polled()
    {
        await using var host = await ScalerHost.StartAsync();
        using var call = host.Client.StreamMetricSpec(ScalerHost.Reference(), cancellationToken: Token);

        (await call.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeTrue();

        call.ResponseStream.Current.ShouldBe(await host.Client.GetMetricSpecAsync(ScalerHost.Reference(), cancellationToken: Token));
    }

    [Fact]
    public async Task The_spec_of_an_unknown_pool_is_not_streamed()
    {
        await using var host = await ScalerHost.StartAsync();
        using var call = host.Client.StreamMetricSpec(ScalerHost.Reference(("pool", "nope")), cancellationToken: Token);

        (await Should.ThrowAsync<RpcException>(() => call.ResponseStream.MoveNext(Token))).StatusCode.ShouldBe(StatusCode.InvalidArgument);
    }

    [Fact]
    public async Task Health_follows_the_age_of_the_plan()
    {
        await using var host = await ScalerHost.StartAsync();
        var health = new Health.HealthClient(host.Channel);

        (await StatusAsync()).ShouldBe(HealthCheckResponse.Types.ServingStatus.NotServing);
        await host.PlanAsync();
        (await StatusAsync()).ShouldBe(HealthCheckResponse.Types.ServingStatus.NotServing, "what a store remembers may be old");
        (await StatusAsync(ScalerHealth.Answers)).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        await host.PlanAsync();
        (await StatusAsync()).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        host.Time.Advance(TimeSpan.FromSeconds(16));
        (await StatusAsync()).ShouldBe(HealthCheckResponse.Types.ServingStatus.NotServing);
        (await StatusAsync(ScalerHealth.Answers)).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        (await StatusAsync(ScalerHealth.Live)).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        (await host.Client.GetMetricSpecAsync(ScalerHost.Reference(), cancellationToken: Token)).MetricSpecs.ShouldHaveSingleItem();

        async Task<HealthCheckResponse.Types.ServingStatus> StatusAsync(string service = ScalerHealth.Fresh) => (await health.CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: Token)).Status;
    }

    private static async Task<bool> NextAsync(AsyncServerStreamingCall<IsActiveResponse> call)
    {
        (await call.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeTrue("the stream ended");
        return call.ResponseStream.Current.Result;
    }

    /// <summary>So many seconds with a plan each.</summary>
    private static async Task SecondsAsync(ScalerHost host, int seconds, int pending)
    {
        for (var second = 0; second < seconds; second++)
        {
            host.Time.Advance(TimeSpan.FromSeconds(1));
            host.Publish(pending);
            await host.PlanAsync();
        }
    }
}
