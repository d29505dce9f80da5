using Serverless.FunctionalTests.OldProtos;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>An operator from before the floating-point fields and the stream of specs.</summary>
public sealed class OldOperatorTests
{
    [Fact]
    public async Task An_old_operator_gets_the_same_answers_in_whole_numbers()
    {
        var token = TestContext.Current.CancellationToken;
        await using var host = await ScalerHost.StartAsync();
        var client = new ExternalScaler.ExternalScalerClient(host.Channel);
        var reference = new ScaledObjectRef { Name = ScalerHost.Pool.Value, Namespace = "serverless" };
        host.Publish(12_000);
        var planned = (await host.PlanAsync()).Replicas;

        var spec = (await client.GetMetricSpecAsync(reference, cancellationToken: token)).MetricSpecs.ShouldHaveSingleItem();
        var value = (await client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = reference, MetricName = spec.MetricName }, cancellationToken: token)).MetricValues.ShouldHaveSingleItem();
        using var stream = client.StreamIsActive(reference, cancellationToken: token);

        spec.TargetSize.ShouldBe(1);
        value.MetricName.ShouldBe(spec.MetricName);
        value.MetricValue_.ShouldBe(planned);
        (await client.IsActiveAsync(reference, cancellationToken: token)).Result.ShouldBeTrue();
        (await stream.ResponseStream.MoveNext(token).WaitAsync(TestTimeouts.Default, TimeProvider.System, token)).ShouldBeTrue();
        stream.ResponseStream.Current.Result.ShouldBeTrue();
    }
}
