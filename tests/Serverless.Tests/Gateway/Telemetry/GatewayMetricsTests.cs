using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Serverless.Errors;
using Serverless.Gateway.Requests;
using Serverless.Gateway.Telemetry;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Telemetry;

public sealed class GatewayMetricsTests : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly IMeterFactory _meters;
    private readonly GatewayMetrics _metrics;

    public GatewayMetricsTests()
    {
        _meters = _services.GetRequiredService<IMeterFactory>();
        _metrics = new GatewayMetrics(_meters);
    }

    [Fact]
    public void A_duration_is_in_seconds_and_tagged_with_the_tables_code()
    {
        using var durations = new MetricCollector<double>(_meters, GatewayMetrics.MeterName, "gen_ai.server.request.duration");

        _metrics.Closed(EndpointName.ChatCompletions, "m", ServingError.QueueFull, TimeSpan.FromMilliseconds(1500));
        _metrics.Closed(EndpointName.Completions, GatewayMetrics.OtherModel, null, TimeSpan.FromSeconds(2));

        var measured = durations.GetMeasurementSnapshot();
        measured.Select(one => one.Value).ShouldBe([1.5, 2]);
        measured[0].Tags["error.type"].ShouldBe("queue_full");
        measured[0].Tags["gen_ai.operation.name"].ShouldBe("chat");
        measured[1].Tags["gen_ai.operation.name"].ShouldBe("text_completion");
        measured[1].Tags.ContainsKey("error.type").ShouldBeFalse();
    }

    [Fact]
    public void The_time_of_a_token_is_the_mean_after_the_first()
    {
        using var times = new MetricCollector<double>(_meters, GatewayMetrics.MeterName, "gen_ai.server.time_per_output_token");
        using var tokens = new MetricCollector<long>(_meters, GatewayMetrics.MeterName, "serverless.gateway.tokens");

        _metrics.Finished(EndpointName.ChatCompletions, "m", 11, TimeSpan.FromSeconds(1));
        _metrics.Finished(EndpointName.ChatCompletions, "m", 1, TimeSpan.Zero);

        times.GetMeasurementSnapshot().Single().Value.ShouldBe(0.1);
        tokens.GetMeasurementSnapshot().ShouldBeEmpty("they are counted where the request ends, not where it is followed");
    }

    [Theory]
    [InlineData(RequestOutcome.Finished)]
    [InlineData(RequestOutcome.Failed)]
    [InlineData(RequestOutcome.Cancelled)]
    public async Task Tokens_are_counted_at_the_end_however_it_came(RequestOutcome outcome)
    {
        using var tokens = new MetricCollector<long>(_meters, GatewayMetrics.MeterName, "serverless.gateway.tokens");

        (await new UsageObserver(_metrics).EndedAsync(new RequestEnd(TestRequests.New(), outcome, new TokenUsage(7, 11)), CancellationToken.None)).ShouldBeTrue();

        tokens.GetMeasurementSnapshot().Select(one => $"{one.Tags["gen_ai.token.type"]} {one.Value}").ShouldBe(["input 7", "output 11"]);
    }

    [Fact]
    public async Task An_end_that_is_told_again_is_counted_once()
    {
        using var tokens = new MetricCollector<long>(_meters, GatewayMetrics.MeterName, "serverless.gateway.tokens");
        var (observer, end) = (new UsageObserver(_metrics), new RequestEnd(TestRequests.New(), RequestOutcome.Finished, new TokenUsage(7, 11)));

        await observer.EndedAsync(end, CancellationToken.None);
        await observer.EndedAsync(end, CancellationToken.None);

        tokens.GetMeasurementSnapshot().Sum(one => one.Value).ShouldBe(18);
    }

    [Fact]
    public void What_opens_and_waits_also_closes()
    {
        using var open = new MetricCollector<long>(_meters, GatewayMetrics.MeterName, "serverless.gateway.open_requests");
        using var waiting = new MetricCollector<long>(_meters, GatewayMetrics.MeterName, "serverless.gateway.waiting_requests");

        _metrics.Opened(EndpointName.ChatCompletions);
        _metrics.WaitBegan("m");
        _metrics.WaitEnded("m");
        _metrics.Closed(EndpointName.ChatCompletions, "m", null, TimeSpan.Zero);

        open.GetMeasurementSnapshot().Sum(one => one.Value).ShouldBe(0);
        waiting.GetMeasurementSnapshot().Sum(one => one.Value).ShouldBe(0);
    }

    public void Dispose() => _services.Dispose();
}
