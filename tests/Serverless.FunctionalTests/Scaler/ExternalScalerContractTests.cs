using Grpc.Core;
using Grpc.Health.V1;
using Serverless.Scaler.Protos;
using Serverless.Scaling;
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
        foreach (var named in new[] { "serverless/m-cpu", "'metricTyp' = 'Value'", "'threshold' = '5'", "allowed is 'pool'", "'nope'", "there are: m-cpu" }) error.Status.Detail.ShouldContain(named);
    }

    [Fact]
    public async Task A_pool_is_found_by_metadata_or_by_the_name_of_the_scaled_object()
    {
        await using var host = await ScalerHost.StartAsync();
        var other = new ScaledObjectRef { Name = "anything", Namespace = "serverless", ScalerMetadata = { ["pool"] = "m-cpu" } };
        host.Publish(20);
        host.Plan();

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
        var planned = host.Plan().Replicas;

        var value = (await host.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerHost.Reference(), MetricName = asked }, cancellationToken: Token)).MetricValues.ShouldHaveSingleItem();

        planned.ShouldBe(3);
        value.ShouldSatisfyAllConditions(
            () => value.MetricName.ShouldBe(answered),
            () => value.MetricValueFloat.ShouldBe(planned),
            () => value.MetricValue_.ShouldBe(planned));
    }

    [Fact]
    public async Task Before_the_first_plan_the_polls_answer_instead_of_failing()
    {
        await using var host = await ScalerHost.StartAsync();

        (await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token)).Result.ShouldBeFalse();
        (await host.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerHost.Reference() }, cancellationToken: Token)).MetricValues.Single().MetricValueFloat.ShouldBe(0);
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
        host.Plan();
        using var call = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token);
        (await NextAsync(call)).ShouldBe(true);

        for (var beat = 0; beat < 2; beat++)
        {
            var next = NextAsync(call);
            Seconds(host, 4, pending: 20);
            next.IsCompleted.ShouldBeFalse("four seconds are too early");
            Seconds(host, 1, pending: 20);
            (await next).ShouldBe(true);
        }

        host.Publish(new PoolCapacity { Pool = ScalerHost.Pool, Desired = 1, Ready = 1 });
        Seconds(host, 12, pending: 20);
        Seconds(host, 1, pending: 0);
        (await NextAsync(call)).ShouldBe(false, "a ready replica needs no heartbeat");

        host.Publish(new PoolCapacity { Pool = ScalerHost.Pool });
        Seconds(host, 12, pending: 0);
        Seconds(host, 1, pending: 20);
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
        host.Plan();
        (await StatusAsync()).ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
        host.Time.Advance(TimeSpan.FromSeconds(11));
        (await StatusAsync()).ShouldBe(HealthCheckResponse.Types.ServingStatus.NotServing);
        (await host.Client.GetMetricSpecAsync(ScalerHost.Reference(), cancellationToken: Token)).MetricSpecs.ShouldHaveSingleItem();

        async Task<HealthCheckResponse.Types.ServingStatus> StatusAsync() => (await health.CheckAsync(new HealthCheckRequest(), cancellationToken: Token)).Status;
    }

    private static async Task<bool> NextAsync(AsyncServerStreamingCall<IsActiveResponse> call)
    {
        (await call.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeTrue("the stream ended");
        return call.ResponseStream.Current.Result;
    }

    /// <summary>So many seconds with a plan each.</summary>
    private static void Seconds(ScalerHost host, int seconds, int pending)
    {
        for (var second = 0; second < seconds; second++)
        {
            host.Time.Advance(TimeSpan.FromSeconds(1));
            host.Publish(pending);
            host.Plan();
        }
    }
}
