using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Demand;
using Serverless.Gateway;
using Serverless.Hosting.Keys;
using Serverless.Hosting.Tokens;
using Serverless.Requests;
using Serverless.Scaler.Embedded;
using Serverless.Scaling.Capacity;
using Serverless.Sessions;
using Serverless.Tenancy;

namespace Serverless.Cli.Embedded;

/// <summary>The embedded shape: every part of the platform in one process, over memory and one SQLite file.</summary>
internal static class EmbeddedHost
{
    /// <summary>Builds it; start it to serve.</summary>
    /// <exception cref="Hosting.Manifests.CatalogException">The manifests are faulty.</exception>
    public static WebApplication Build(EmbeddedOptions options, Action<WebApplicationBuilder>? configure = null) => GatewayHost.Build([], builder =>
    {
        builder.Services
            .AddManifestFolder(options.Manifests ?? ModelsFolder.Find())
            .AddSingleton<ITokenCounter, GgufTokenCounter>()
            .AddQueueLimits()
            .AddSingleton(_ => new DataFolder(options.Data))
            .AddSqliteState(provider => provider.GetRequiredService<DataFolder>().Path)
            .AddSingleton<IDemandFeed, MemoryDemandFeed>()
            .AddSingleton<ICapacityFeed, MemoryCapacityFeed>()
            .AddSingleton<MemoryWorkerSessions>()
            .AddSingleton<IWorkerSessions>(provider => provider.GetRequiredService<MemoryWorkerSessions>())
            .AddSingleton<IDispatcherConnector>(provider => provider.GetRequiredService<MemoryWorkerSessions>())
            .AddMemoryEvents()
            .AddDispatchers() // parts stop in the reverse order: replicas drain while their dispatchers still answer
            .AddLocalReplicas()
            .AddScaler()
            .AddLocalScaler(new LocalScalerOptions { Cooldown = options.Cooldown });

        if (options.Keys is { } keys)
        {
            builder.Services.AddSingleton<IApiKeySource>(provider =>
                new FileApiKeySource(keys, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<FileApiKeySource>>()));
        }

        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, options.Port));
        AddLogging(builder.Logging, options.Quiet);
        configure?.Invoke(builder);
    }, app => app.MapScaler());

    /// <summary>Where a started host serves HTTP.</summary>
    public static Uri Address(WebApplication host) => Addresses(host)[0];

    /// <summary>Where a started host serves KEDA's contract.</summary>
    public static Uri ScalerAddress(WebApplication host) => Addresses(host)[1];

    private static Uri[] Addresses(WebApplication host) =>
        [.. host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address))];

    private static void Listen(KestrelServerOptions kestrel, int port)
    {
        kestrel.Listen(IPAddress.Loopback, port);
        kestrel.Listen(IPAddress.Loopback, port == 0 ? 0 : port + 1, endpoint => endpoint.Protocols = HttpProtocols.Http2);
    }

    private static void AddLogging(ILoggingBuilder logging, bool quiet)
    {
        logging.ClearProviders();
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss ";
        });
        logging.SetMinimumLevel(quiet ? LogLevel.Error : LogLevel.Warning);
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None); // what stops the start is thrown, and told once
        if (!quiet) logging.AddFilter("Serverless", LogLevel.Information);
    }
}
