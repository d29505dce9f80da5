using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Exporter;
using Serverless.Hosting.Configuration;
using Serverless.Hosting.Telemetry;
using Shouldly;

namespace Serverless.FunctionalTests.Telemetry;

/// <summary>How many series the exporter keeps, and for how long.</summary>
public sealed class SeriesTests
{
    private static readonly string[] States = ["ready", "loading", "draining"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_thousand_models_with_pools_of_two_classes_and_three_states_are_told_whole()
    {
        string[] pools = [.. Enumerable.Range(0, 2000).Select(pool => $"pool-{pool}")];

        var text = await ScrapeAsync(() => pools, times: 1);

        Told(text).Count.ShouldBe(pools.Length * States.Length);
        text.ShouldNotContain("otel_metric_overflow");
    }

    /// <summary>Names that come and go must not take the places of those that stay.</summary>
    [Fact]
    public async Task Names_that_are_gone_are_told_no_more_and_leave_their_places_to_others()
    {
        var (generation, each) = (0, TelemetryServices.MostSeries / States.Length / 2);

        var text = await ScrapeAsync(() => Enumerable.Range(0, each).Select(pool => $"pool-{generation}-{pool}"), times: 4, next: () => generation++);

        var told = Told(text);
        told.Count.ShouldBe(each * States.Length);
        told.ShouldAllBe(line => line.Contains("pool-3-"));
        text.ShouldNotContain("otel_metric_overflow");
    }

    private static List<string> Told(string text) => [.. text.Split('\n').Where(line => line.StartsWith("serverless_pool_under_test", StringComparison.Ordinal))];

    /// <summary>The last of several scrapes of a process that has the gauge.</summary>
    private static async Task<string> ScrapeAsync(Func<IEnumerable<string>> pools, int times, Action? next = null)
    {
        var builder = ProcessBuilder.Create([]);
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddServerlessTelemetry().Configure<PrometheusAspNetCoreOptions>(exporter => exporter.ScrapeResponseCacheDurationMilliseconds = 0);
        await using var app = builder.Build();
        app.MapServerlessMetrics();
        var later = new Queue<Action>();
        await app.StartAsync(Token);
        using var gauges = new PassingGauges(app.Services.GetRequiredService<IMeterFactory>(), $"Serverless.Test.{Guid.NewGuid():n}", Create, later.Enqueue);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(app.Urls.First()), Timeout = TestTimeouts.Default };
        var text = "";
        for (var time = 0; time < times; time++)
        {
            if (time > 0) next?.Invoke();
            while (later.TryDequeue(out var renew)) renew();
            text = await client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        }

        await app.StopAsync(Token);
        return text;

        void Create(Meter meter, PassingGauges passing) => meter.CreateObservableGauge("serverless.pool.under_test", () =>
        {
            var names = pools().ToList();
            passing.Telling(names);
            return from pool in names from state in States select new Measurement<long>(1, new KeyValuePair<string, object?>("pool", pool), new KeyValuePair<string, object?>("state", state));
        });
    }
}
