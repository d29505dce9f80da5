using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Documents;
using Serverless.FunctionalTests.Gateway;
using Serverless.Gateway;
using Serverless.Hosting.Configuration;
using Serverless.Hosting.MassTransit;
using Serverless.Hosting.Telemetry;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Worker;
using Shouldly;

namespace Serverless.FunctionalTests.Telemetry;

/// <summary>A gateway, a worker or a scaler with the parts that are its own in the distributed shape, over memory instead of Redis and RabbitMQ, as Prometheus sees it.</summary>
internal sealed class ScrapedProcess : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpClient _client;

    private ScrapedProcess(WebApplication app)
    {
        _app = app;
        _client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(app.Urls.First()), Timeout = TestTimeouts.Default };
    }

    public IServiceProvider Services => _app.Services;

    public static async Task<ScrapedProcess> StartAsync(string process)
    {
        var backend = new Backend(TimeProvider.System);
        var app = process switch
        {
            "gateway" => GatewayHost.Build([], builder => AddGateway(builder, backend), routes => routes.MapWorkerSessions()),
            "worker" => WorkerHost.Build([], builder =>
            {
                AddCommon(builder, process);
                builder.Configuration.AddInMemoryCollection([new("Worker:Pool", $"{GatewayUnderTest.ModelName}-cpu")]);
                builder.Services.AddSingleton<IRequestLog>(backend.Log).AddSingleton<ILeases, MemoryLeases>().AddGrpcDispatcherConnector();
            }),
            "scaler" => BuildScaler(),
            _ => throw new ArgumentOutOfRangeException(nameof(process), process, "It is gateway, worker or scaler."),
        };
        await app.StartAsync(TestContext.Current.CancellationToken);
        // What a model's figures say is told once it is dispatched.
        if (app.Services.GetService<IDemandFeed>() is DispatchedDemand demand) await demand.Dispatched.WaitAsync(TestTimeouts.Default, TimeProvider.System, TestContext.Current.CancellationToken);
        return new ScrapedProcess(app);
    }

    /// <summary>The instruments of ours that there are.</summary>
    public IReadOnlyList<Instrument> Instruments()
    {
        var (instruments, meters) = (new List<Instrument>(), Services.GetRequiredService<IMeterFactory>());
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Scope == meters && instrument.Meter.Name.StartsWith("Serverless.", StringComparison.Ordinal)) instruments.Add(instrument);
        };
        listener.Start();
        return instruments;
    }

    /// <summary>Gives counters and histograms an event each, so that they are printed.</summary>
    public void RecordAll()
    {
        foreach (var instrument in Instruments())
        {
            switch (instrument)
            {
                case Counter<long> counter: counter.Add(1); break;
                case UpDownCounter<long> counter: counter.Add(1); break;
                case Histogram<double> histogram: histogram.Record(1); break;
                default: instrument.IsObservable.ShouldBeTrue(instrument.Name); break;
            }
        }
    }

    public Task<string> ScrapeAsync() => _client.GetStringAsync(new Uri("/metrics", UriKind.Relative), TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private static void AddCommon(WebApplicationBuilder builder, string process)
    {
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http1));
        builder.Services.AddSingleton(new ProcessIdentity($"serverless-{process}")).AddSingleton<ICatalogSource>(new FixedCatalog()).AddSingleton<IDependency, Nothing>();
    }

    private static void AddGateway(WebApplicationBuilder builder, Backend backend)
    {
        AddCommon(builder, "gateway");
        builder.Configuration.AddInMemoryCollection([new("Sessions:Port", "0"), new("MassTransit:Enabled", "true")]);
        builder.Services.AddSingleton(backend.Time)
            .AddSingleton<IRequestQueue>(backend.Queue)
            .AddSingleton<IRequestLog>(backend.Log)
            .AddSingleton<IDocumentStore>(backend.Documents)
            .AddSingleton(backend.Events)
            .AddMemoryEvents()
            .AddSingleton<ITokenCounter, NoTokens>()
            .AddSingleton<IDemandFeed, DispatchedDemand>()
            .AddSingleton<ICapacityFeed, MemoryCapacityFeed>()
            .AddSingleton<Serverless.Scaling.Plans.IScaleJournal, GatewayUnderTest.NoDecisions>()
            .AddSingleton<IDeadLetters, GatewayUnderTest.NoLetters>()
            .AddSingleton<Redrive>()
            .AddMessages(builder.Configuration, MassTransitOptions.InMemory)
            .AddGrpcWorkerSessions()
            .AddDispatchers();
    }

    /// <summary>Its own host asks for Redis before anything else.</summary>
    private static WebApplication BuildScaler()
    {
        var builder = ProcessBuilder.Create([]);
        AddCommon(builder, "scaler");
        builder.Services.AddSingleton<IDemandFeed, MemoryDemandFeed>().AddSingleton<ICapacityFeed, MemoryCapacityFeed>().AddServerlessTelemetry().AddClosedMetrics().AddScaler().AddProbes(HealthStatus.Degraded);
        var app = builder.Build();
        app.MapScaler();
        app.MapClosedMetrics();
        return app;
    }

    private sealed class FixedCatalog : ICatalogSource
    {
        public ModelCatalog Current { get; } = new([GatewayUnderTest.Model]);
    }

    /// <summary>Tells when a look at the models has ended that gave one its dispatcher: it has spoken, and the look renews after that.</summary>
    private sealed class DispatchedDemand : IDemandFeed
    {
        private readonly MemoryDemandFeed _feed = new();
        private readonly TaskCompletionSource _dispatched = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile bool _spoken;

        public Task Dispatched => _dispatched.Task;

        public void Publish(ModelDemand demand)
        {
            _feed.Publish(demand);
            _spoken = true;
        }

        public void Renew(DateTimeOffset now)
        {
            _feed.Renew(now);
            if (_spoken) _dispatched.TrySetResult();
        }

        public void Withdraw(ModelName model) => _feed.Withdraw(model);

        public ModelDemand? Latest(ModelName model) => _feed.Latest(model);

        public IAsyncEnumerable<ModelDemand> WatchAsync(ModelName model, CancellationToken cancellationToken) => _feed.WatchAsync(model, cancellationToken);

        public IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken) => _feed.WatchAllAsync(cancellationToken);
    }

    private sealed class NoTokens : ITokenCounter
    {
        public int CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body) => 1;
    }

    private sealed class Nothing : IDependency
    {
        public string Name => "redis";

        public ValueTask<string?> FindFaultAsync(CancellationToken cancellationToken) => new((string?)null);
    }
}
