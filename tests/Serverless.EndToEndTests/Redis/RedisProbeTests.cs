using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>What the probes and the gauge say of a process whose Redis refuses.</summary>
public sealed class RedisProbeTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(HealthStatus.Unhealthy, HttpStatusCode.ServiceUnavailable)]
    [InlineData(HealthStatus.Degraded, HttpStatusCode.OK)]
    public async Task Readiness_tells_of_a_Redis_that_refuses_and_liveness_does_not(HealthStatus without, HttpStatusCode expected)
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        await using var redis = await RedisServer.StartNewAsync(Token);
        await using var proxy = new RedisProxy(redis);
        await using var app = await StartAsync(proxy, without);
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
        var up = new Gauge(app.Services.GetRequiredService<IMeterFactory>());
        await UntilAsync(client, HttpStatusCode.OK, body => body == "ready");
        up.Read().ShouldBe(1);

        proxy.AnswerAll("-OOM command not allowed when used memory > 'maxmemory'.");

        await UntilAsync(client, expected, body => body.Contains("dependencies: redis OOM", StringComparison.Ordinal));
        (await client.GetAsync("/healthz", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        up.Read().ShouldBe(0);

        proxy.PassOn();

        await UntilAsync(client, HttpStatusCode.OK, body => body == "ready");
        up.Read().ShouldBe(1);
    }

    private static async Task<WebApplication> StartAsync(RedisProxy proxy, HealthStatus without)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection([new("Redis:Configuration", proxy.Configuration)]);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddRedisLeases().AddProbes(without);
        var app = builder.Build();
        app.MapProbes();
        await app.StartAsync(Token);
        return app;
    }

    /// <summary>Asks as Kubernetes does, a few times a second.</summary>
    private static async Task UntilAsync(HttpClient client, HttpStatusCode status, Func<string, bool> matches)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        do
        {
            using var answer = await client.GetAsync("/readyz", limit.Token);
            if (answer.StatusCode == status && matches(await answer.Content.ReadAsStringAsync(limit.Token))) return;
        }
        while (await pace.WaitForNextTickAsync(limit.Token));
    }

    private sealed class Gauge(IMeterFactory meters)
    {
        public int Read()
        {
            var read = -1;
            using var listener = new MeterListener();
            listener.InstrumentPublished = (instrument, to) =>
            {
                if (instrument.Name == "serverless.dependency.up" && instrument.Meter.Scope == meters) to.EnableMeasurementEvents(instrument);
            };
            listener.SetMeasurementEventCallback<int>((_, value, _, _) => read = value);
            listener.Start();
            listener.RecordObservableInstruments();
            return read;
        }
    }
}
