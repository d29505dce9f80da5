using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Serverless.Scaler.Keda;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>The scaler's figures as calls make them; their names, units and meanings are compared with docs/metrics.md by MetricsPageTests.</summary>
public sealed class ScalerMetricsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_streams_and_pushes_are_counted_under_the_tags_of_the_page()
    {
        await using var host = await ScalerHost.StartAsync();
        using var calls = Collect<double>(host, "serverless.scaler.call.duration");
        using var streams = Collect<long>(host, "serverless.scaler.streams");
        using var pushes = Collect<long>(host, "serverless.scaler.pushes");
        host.Publish(12_000);
        await host.PlanAsync();

        await host.Client.IsActiveAsync(ScalerHost.Reference(), cancellationToken: Token);
        await Should.ThrowAsync<Grpc.Core.RpcException>(async () => await host.Client.GetMetricSpecAsync(ScalerHost.Reference(("pool", "nope")), cancellationToken: Token));
        using (var stream = host.Client.StreamIsActive(ScalerHost.Reference(), cancellationToken: Token))
        {
            (await stream.ResponseStream.MoveNext(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeTrue();
            await pushes.WaitForMeasurementsAsync(1, Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
        }

        await streams.WaitForMeasurementsAsync(2, Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
        calls.GetMeasurementSnapshot().Select(measured => Tags(measured.Tags)).ShouldBe(["outcome=ended rpc.method=IsActive", "outcome=failed rpc.method=GetMetricSpec"]);
        streams.GetMeasurementSnapshot().Select(measured => $"{measured.Value} {Tags(measured.Tags)}").ShouldBe(["1 rpc.method=StreamIsActive", "-1 rpc.method=StreamIsActive"]);
        pushes.GetMeasurementSnapshot().Select(measured => $"{measured.Value} {Tags(measured.Tags)}").ShouldBe(["1 active=True"]);
    }

    [Fact]
    public async Task Gauges_tell_the_plan_its_age_and_who_plans()
    {
        await using var host = await ScalerHost.StartAsync();
        host.Services.GetRequiredService<ScalerMetrics>();
        using var age = Collect<double>(host, "serverless.scaler.plan.age");
        using var planner = Collect<int>(host, "serverless.scaler.planner");
        using var desired = Collect<int>(host, "serverless.scaler.desired_replicas");
        age.RecordObservableInstruments();
        age.GetMeasurementSnapshot().ShouldBeEmpty("before the planner was heard of there is no age");

        host.Publish(12_000);
        await host.PlanAsync();
        await host.PlanAsync();
        host.Time.Advance(TimeSpan.FromSeconds(7));
        age.RecordObservableInstruments();
        planner.RecordObservableInstruments();
        desired.RecordObservableInstruments();

        age.LastMeasurement!.Value.ShouldBe(7);
        planner.LastMeasurement!.Value.ShouldBe(0, "the test plans, not this scaler");
        desired.LastMeasurement!.Value.ShouldBe(3);
        Tags(desired.LastMeasurement.Tags).ShouldBe("model=m pool=m-cpu");
    }

    private static MetricCollector<T> Collect<T>(ScalerHost host, string name)
        where T : struct => new(host.Services.GetRequiredService<IMeterFactory>(), ScalerMetrics.MeterName, name);

    private static string Tags(IReadOnlyDictionary<string, object?> tags) => string.Join(' ', tags.OrderBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => $"{tag.Key}={tag.Value}"));
}
