using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Scaling;

namespace Serverless.EndToEndTests.Keda;

/// <summary>The scaler as it is deployed, in this process and on a port of its own, with demand that the test declares.</summary>
internal sealed class ServedScaler : IAsyncDisposable
{
    public const string Pool = "m-cpu";

    private static readonly ModelName Model = new("m");

    private readonly WebApplication _app;

    private ServedScaler(WebApplication app) => _app = app;

    public string Address => new Uri(_app.Urls.Single()).Authority;

    public static async Task<ServedScaler> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<ICatalogSource>(new OneModel());
        builder.Services.AddSingleton<IDemandFeed, MemoryDemandFeed>();
        builder.Services.AddSingleton<ICapacityFeed, MemoryCapacityFeed>();

        // Demand is declared once and stands; the window is short so that the test is.
        builder.Services.AddSingleton(new PlannerOptions { StaleAfter = TimeSpan.FromHours(1), Window = TimeSpan.FromSeconds(3) });
        builder.Services.AddScaler();
        var app = builder.Build();
        app.MapScaler();
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new ServedScaler(app);
    }

    public void Declare(int pendingPromptTokens = 0, int running = 0) => _app.Services.GetRequiredService<IDemandFeed>().Publish(new Demand
    {
        Model = Model,
        At = TimeProvider.System.GetUtcNow(),
        PendingRequests = pendingPromptTokens > 0 ? 1 : 0,
        PendingPromptTokens = pendingPromptTokens,
        RunningRequests = running,
    });

    public void Declare(PoolCapacity capacity) => _app.Services.GetRequiredService<ICapacityFeed>().Publish(capacity);

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private sealed class OneModel : ICatalogSource
    {
        public ModelCatalog Current { get; } = new(
        [
            new Model
            {
                Name = ServedScaler.Model,
                Family = "llama",
                Source = new ModelSource("simulated", "m"),
                ContextTokens = 8192,
                Backend = "simulated",
                Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
                Scaling = new ScalingConfig { MaxReplicas = 5 },
            },
        ]);
    }
}
