using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Cli.Shell;
using Serverless.Demand;
using Serverless.Gateway;
using Serverless.Hosting.Dapr;
using Serverless.Hosting.Keys;
using Serverless.Hosting.MassTransit;
using Serverless.Hosting.Telemetry;
using Serverless.Scaler.Embedded;
using Serverless.Scaling.Capacity;
using Serverless.Sessions;
using Serverless.Tenancy;

namespace Serverless.Cli.Embedded;

/// <summary>The embedded shape: every part of the platform in one process, over memory and one SQLite file.</summary>
internal static class EmbeddedHost
{
    /// <summary>Builds it; start it to serve.</summary>
    /// <exception cref="ToolException">Settings are faulty; the message tells them all, each with its key and value.</exception>
    public static WebApplication Build(EmbeddedOptions options, Action<WebApplicationBuilder>? configure = null)
    {
        ConfigurationManager? settings = null;
        try
        {
            return GatewayHost.Build(
                [],
                builder =>
                {
                    settings = builder.Configuration;
                    AddParts(builder, options);
                    configure?.Invoke(builder);
                },
                app =>
                {
                    if (options.KedaPort is not null) app.MapScaler();
                    if (options.Keys is null || settings!["APP_API_TOKEN"] is { Length: > 0 }) app.MapDaprEvents(); // where keys are asked for, being of this machine is not enough
                });
        }
        catch (Exception exception) when (exception is OptionsValidationException or AggregateException)
        {
            throw new ToolException(string.Join('\n', Faults.Sentences(exception, settings)), exception);
        }
    }

    private static void AddParts(WebApplicationBuilder builder, EmbeddedOptions options)
    {
        builder.Services
            .AddManifestFolder(options.Manifests ?? ModelsFolder.Of(null))
            .AddModelStore()
            .AddModelTokenCounter()
            .AddQueueLimits()
            .AddSingleton(_ => new DataFolder(options.Data))
            .AddSqliteState(provider => provider.GetRequiredService<DataFolder>().Path)
            .AddFilesFolder(provider => Path.Combine(provider.GetRequiredService<DataFolder>().Path, "files"))
            .AddSingleton<IDemandFeed, MemoryDemandFeed>()
            .AddSingleton<ICapacityFeed, MemoryCapacityFeed>()
            .AddSingleton<MemoryWorkerSessions>()
            .AddSingleton<IWorkerSessions>(provider => provider.GetRequiredService<MemoryWorkerSessions>())
            .AddSingleton<IDispatcherConnector>(provider => provider.GetRequiredService<MemoryWorkerSessions>())
            .AddMemoryEvents()
            .AddEventRoute()
            .AddMessages(builder.Configuration, MassTransitOptions.InMemory)
            .AddDispatchers() // parts stop in the reverse order: replicas drain while their dispatchers still answer
            .AddLocalReplicas()
            .AddScaler()
            .AddLocalScaler(new LocalScalerOptions { Cooldown = options.Cooldown });

        if (options.Keys is { } keys)
        {
            builder.Services.AddSingleton<IApiKeySource>(provider =>
                new FileApiKeySource(keys, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<FileApiKeySource>>()));
        }

        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, options));
        builder.Services.PostConfigure<HostFilteringOptions>(hosts =>
        {
            if (hosts.AllowedHosts.Count > 0) hosts.AllowedHosts = [.. hosts.AllowedHosts, options.Host.ToString()]; // such as 127.0.0.2: it was asked for
        });
        builder.AddServerlessLogging(options.Quiet);
    }

    /// <summary>Starts it.</summary>
    /// <exception cref="Hosting.Manifests.CatalogException">The manifests are faulty.</exception>
    /// <exception cref="ToolException">A port cannot be had; the message names the option that gave it.</exception>
    public static async Task StartAsync(WebApplication host, EmbeddedOptions options, CancellationToken cancellationToken)
    {
        try
        {
            await host.StartAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException { InnerException: AddressInUseException } or SocketException)
        {
            throw new ToolException(Sentence(exception, options), exception);
        }
    }

    /// <summary>Where a started host serves HTTP.</summary>
    public static Uri Address(WebApplication host) => Addresses(host)[0];

    /// <summary>Where a started host serves KEDA's contract; null if it does not.</summary>
    public static Uri? ScalerAddress(WebApplication host, EmbeddedOptions options) => options.KedaPort is null ? null : Addresses(host)[1];

    private static Uri[] Addresses(WebApplication host) =>
        [.. host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address))];

    private static void Listen(KestrelServerOptions kestrel, EmbeddedOptions options)
    {
        kestrel.Listen(options.Host, options.Port);
        // To this machine alone, whatever --host says: it asks for no key.
        if (options.KedaPort is { } keda) kestrel.Listen(IPAddress.Loopback, keda, endpoint => endpoint.Protocols = HttpProtocols.Http2);
    }

    private static string Sentence(Exception exception, EmbeddedOptions options)
    {
        var keda = options.KedaPort is > 0 and { } port && exception.Message.Contains($":{port}:", StringComparison.Ordinal);
        var (option, number) = keda ? ("--keda-port", options.KedaPort!.Value) : ("--port", options.Port);
        return exception switch
        {
            SocketException { SocketErrorCode: SocketError.AddressNotAvailable } => $"--host {options.Host} is no address of this machine; give one that is, or 0.0.0.0 for all of them.",
            SocketException { SocketErrorCode: SocketError.AccessDenied } => $"{option} {number} is not open to this user; give one from 1024 up.",
            SocketException => $"{option} {number} of {options.Host} cannot be listened on: {exception.Message}.",
            _ when exception.Message.Contains($":{number}:", StringComparison.Ordinal) || number == 0 => $"{option} {number} is taken by another process; stop that one, or give another with {option}.",
            _ => exception.Message,
        };
    }
}
