using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Leases;
using Serverless.Scaler.Keda;
using Serverless.Scaler.Listening;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>The scaler as it is deployed: gRPC without TLS on a port of its own. Time is the test's; so is the planning, unless asked for.</summary>
internal sealed class ScalerHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly GrpcChannel _channel;

    private ScalerHost(WebApplication app, TestClock time)
    {
        (_app, Time) = (app, time);
        _channel = GrpcChannel.ForAddress(app.Urls.Single());
        Client = new ExternalScaler.ExternalScalerClient(_channel);
    }

    public static PoolName Pool { get; } = new("m-cpu");

    public TestClock Time { get; }

    public ExternalScaler.ExternalScalerClient Client { get; }

    public ChannelBase Channel => _channel;

    public ExternalScalerService Service => _app.Services.GetRequiredService<ExternalScalerService>();

    public ScalePlans Plans => _app.Services.GetRequiredService<ScalePlans>();

    public IServiceProvider Services => _app.Services;

    public Model Model => _app.Services.GetRequiredService<ICatalogSource>().Current.Models[0];

    public static async Task<ScalerHost> StartAsync(bool planning = false, Action<IServiceCollection>? configure = null, ModelCatalog? catalog = null, TestClock? clock = null)
    {
        var time = clock ?? new TestClock(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenScaler(new IPEndPoint(IPAddress.Loopback, 0)));
        builder.Services.AddSingleton<TimeProvider>(time);
        builder.Services.AddSingleton<ICatalogSource>(new FixedCatalog(catalog));
        builder.Services.AddSingleton<IDemandFeed, MemoryDemandFeed>();
        builder.Services.AddSingleton<ICapacityFeed, MemoryCapacityFeed>();
        configure?.Invoke(builder.Services);
        if (!planning) builder.Services.AddSingleton<ILeases, NoLeases>();
        builder.Services.AddScaler();

        var app = builder.Build();
        app.MapScaler();
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new ScalerHost(app, time);
    }

    public static ScaledObjectRef Reference(params (string Key, string Value)[] metadata)
    {
        var reference = new ScaledObjectRef { Name = Pool.Value, Namespace = "serverless" };
        foreach (var (key, value) in metadata) reference.ScalerMetadata.Add(key, value);
        return reference;
    }

    /// <summary>Requests of 1,000 tokens and one of what is left wait, so many run.</summary>
    public void Publish(int pendingPromptTokens, int running = 0) => _app.Services.GetRequiredService<IDemandFeed>().Publish(new ModelDemand
    {
        Model = Model.Name,
        At = Time.GetUtcNow(),
        PendingRequests = (pendingPromptTokens + 999) / 1000,
        PendingPromptTokens = pendingPromptTokens,
        RunningRequests = running,
    });

    public void Publish(PoolCapacity capacity) => _app.Services.GetRequiredService<ICapacityFeed>().Publish(capacity);

    /// <summary>A round of the latch, after it heard of the demand.</summary>
    public void LookAround()
    {
        Plans.Wake([Model.Name]);
        Plans.LookAround();
    }

    /// <summary>Plans by what was published last, and takes the plan.</summary>
    public async Task<ScaleDecision> PlanAsync(long epoch = 1)
    {
        var catalog = _app.Services.GetRequiredService<ICatalogSource>().Current;
        (await _app.Services.GetRequiredService<PlanWriter>().WriteAsync(epoch, catalog, catalog.Models, CancellationToken.None)).ShouldBeTrue();
        Plans.Take((await _app.Services.GetRequiredService<IPlanFeed>().ReadAsync(CancellationToken.None))!);
        return Plans.Latest(Pool)!;
    }

    public Task StopAsync() => _app.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _app.DisposeAsync();
    }

    private sealed class FixedCatalog(ModelCatalog? catalog) : ICatalogSource
    {
        public ModelCatalog Current { get; } = catalog ?? new(
        [
            new Model
            {
                Name = new ModelName("m"),
                Family = "llama",
                Source = new ModelSource("simulated", "m"),
                ContextTokens = 8192,
                Backend = "simulated",
                Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
                Scaling = new ScalingConfig { MaxReplicas = 5, Cooldown = TimeSpan.FromSeconds(10) },
            },
        ]);
    }

    /// <summary>Another scaler plans.</summary>
    private sealed class NoLeases : ILeases
    {
        public ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken) => new((Lease?)null);

        public ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken) => new(false);

        public ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, Lease? under, CancellationToken cancellationToken) => new([]);

        public ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> leases, TimeSpan timeToLive, CancellationToken cancellationToken) => new([]);

        public ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken) => new((Lease?)null);

        public ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken) => new([]);
    }
}
