using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Cli.Embedded;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed class MetricsPageTests
{
    [Fact]
    public async Task Every_instrument_is_on_the_page_and_nothing_else()
    {
        var instruments = new SortedSet<string>(StringComparer.Ordinal);
        await using var host = EmbeddedHost.Build(new EmbeddedOptions { Port = 0, Quiet = true });
        var meters = host.Services.GetRequiredService<IMeterFactory>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Meter.Name.StartsWith("Serverless.", StringComparison.Ordinal)) instruments.Add(Describe(instrument));
        };
        listener.Start();

        var assemblies = new[] { typeof(Serverless.Gateway.GatewayHost), typeof(Serverless.Worker.WorkerHost), typeof(Serverless.Scaler.Embedded.LocalScalerOptions), typeof(Hosting.Tokens.GgufTokenCounter), typeof(EmbeddedHost) }.Select(type => type.Assembly);
        foreach (var type in assemblies.SelectMany(assembly => assembly.GetTypes()).Where(type => type.Name.EndsWith("Metrics", StringComparison.Ordinal) && type.IsClass && !type.IsAbstract))
        {
            ActivatorUtilities.CreateInstance(host.Services, type);
        }

        instruments.ShouldNotBeEmpty();
        Page.Rows("metrics.md").Where(row => row.Length == 7 && row[0].StartsWith('`')).Select(row => string.Join(" | ", row[0], row[2], row[3], row[6])).Order(StringComparer.Ordinal).ShouldBe(instruments);
    }

    private static string Describe(Instrument instrument)
    {
        var kind = instrument.GetType().Name.Split('`')[0] switch
        {
            nameof(Histogram<>) => "histogram",
            nameof(Counter<>) => "counter",
            nameof(UpDownCounter<>) => "up-down counter",
            nameof(ObservableGauge<>) => "gauge",
            var other => other,
        };
        return $"`{instrument.Name}` | {kind} | `{instrument.Unit}` | {instrument.Description}";
    }
}
