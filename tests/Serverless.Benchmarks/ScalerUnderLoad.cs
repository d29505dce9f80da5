using System.Net;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaler.Listening;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Plans;

namespace Serverless.Benchmarks;

/// <summary>The scaler over memory with that many models of one pool each, and one connection to it as KEDA has.</summary>
internal sealed class ScalerUnderLoad : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly GrpcChannel _channel;

    private ScalerUnderLoad(WebApplication app)
    {
        _app = app;
        _channel = GrpcChannel.ForAddress(app.Urls.Single(), new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler { EnableMultipleHttp2Connections = false } });
        Client = new ExternalScaler.ExternalScalerClient(_channel);
    }

    public ExternalScaler.ExternalScalerClient Client { get; }

    public string Address => _app.Urls.Single();

    public IServiceProvider Services => _app.Services;

    public IDemandFeed Demand => Services.GetRequiredService<IDemandFeed>();

    public static ModelName Model(int number) => new($"m{number}");

    public static ScaledObjectRef Reference(int number) => new() { Name = $"m{number}-cpu", Namespace = "serverless" };

    public static async Task<ScalerUnderLoad> StartAsync(int models, Action<IServiceCollection>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenScaler(new IPEndPoint(IPAddress.Loopback, 0)));
        builder.Services
            .AddSingleton(TimeProvider.System)
            .AddSingleton<ICatalogSource>(new Fixed(new ModelCatalog([.. Enumerable.Range(0, models).Select(Declare)])))
            .AddSingleton<IDemandFeed, MemoryDemandFeed>()
            .AddSingleton<ICapacityFeed, MemoryCapacityFeed>();
        configure?.Invoke(builder.Services);
        builder.Services.AddScaler();
        var app = builder.Build();
        app.MapScaler();
        await app.StartAsync(CancellationToken.None);
        await app.Services.GetRequiredService<ScalePlans>().Known;
        return new ScalerUnderLoad(app);
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _app.DisposeAsync();
    }

    private static Model Declare(int number) => new()
    {
        Name = Model(number),
        Family = "llama",
        Source = new ModelSource("simulated", "m"),
        ContextTokens = 8192,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
        Scaling = new ScalingConfig { MaxReplicas = 5 },
    };

    private sealed class Fixed(ModelCatalog catalog) : ICatalogSource
    {
        public ModelCatalog Current => catalog;
    }
}
