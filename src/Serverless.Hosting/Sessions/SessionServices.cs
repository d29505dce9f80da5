using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Sessions;
using Serverless.Hosting.Tls;
using Serverless.Leases;
using Serverless.Sessions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Worker sessions over gRPC, both ends. Options from <c>Sessions</c>.</summary>
public static class SessionServices
{
    /// <summary>Bytes of a worker's longest message, its hello with some three thousand running attempts; what it generates goes to the log, not here. Whoever has not said hello yet may send no more either.</summary>
    private const int MostFromWorker = 256 * 1024;

    private const int MostConnections = 4096;

    /// <summary>The dispatchers' end: also listens on <see cref="WorkerSessionOptions.Port"/>. Map it with <see cref="MapWorkerSessions"/>.</summary>
    public static IServiceCollection AddGrpcWorkerSessions(this IServiceCollection services)
    {
        services.AddSessionOptions();
        services.TryAddSingleton<SessionDoor>();
        services.AddHostedService<OpenSessionsWarning>();
        services.AddGrpc().AddServiceOptions<SessionsService>(grpc =>
        {
            grpc.MaxReceiveMessageSize = MostFromWorker;
            grpc.MaxSendMessageSize = GrpcDispatcherConnector.MostFromDispatcher;
        });
        services.TryAddSingleton(provider => new GrpcWorkerSessions(provider.GetRequiredService<SessionMetrics>()));
        services.AddSingleton<IWorkerSessions>(provider => provider.GetRequiredService<GrpcWorkerSessions>());
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<WorkerSessionOptions>>((kestrel, sessions) => Listen(kestrel, sessions.Value));
        return services;
    }

    /// <summary>The workers' end.</summary>
    public static IServiceCollection AddGrpcDispatcherConnector(this IServiceCollection services)
    {
        services.AddSessionOptions();
        services.TryAddSingleton(provider => new GrpcDispatcherConnector(
            provider.GetRequiredService<ILeases>(),
            provider.GetRequiredService<IOptions<WorkerSessionOptions>>(),
            provider.GetRequiredService<SessionMetrics>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILoggerFactory>()));
        services.AddSingleton<IDispatcherConnector>(provider => provider.GetRequiredService<GrpcDispatcherConnector>());
        return services;
    }

    /// <summary>Maps the door for workers.</summary>
    public static IEndpointRouteBuilder MapWorkerSessions(this IEndpointRouteBuilder routes)
    {
        routes.MapGrpcService<SessionsService>();
        return routes;
    }

    /// <summary>Where workers reach a gateway with these options: its lease's holder.</summary>
    public static string SessionAddress(WorkerSessionOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var host = options.Host ?? (options.IsOpen ? Environment.MachineName : $"{IPAddress.Loopback}");
        return new UriBuilder(options.UsesTls ? Uri.UriSchemeHttps : Uri.UriSchemeHttp, host, options.PublicPort ?? options.Port).Uri.GetLeftPart(UriPartial.Authority);
    }

    private static void AddSessionOptions(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.TryAddSingleton<SessionMetrics>();
        services.AddCheckedOptions<WorkerSessionOptions, WorkerSessionOptions.Validator, WorkerSessionOptions.TlsValidator>(WorkerSessionOptions.Section);
    }

    private static void Listen(KestrelServerOptions kestrel, WorkerSessionOptions options)
    {
        kestrel.Limits.Http2.KeepAlivePingDelay = options.PingAfter;
        kestrel.Limits.Http2.KeepAlivePingTimeout = options.PingTimeout;
        var services = kestrel.ApplicationServices;
        var certificates = options.UsesTls
            ? new ReloadingCertificates(options.Files, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<ReloadingCertificates>>())
            : null;
        kestrel.Listen(options.IsOpen ? IPAddress.Any : IPAddress.Loopback, options.Port, endpoint =>
        {
            endpoint.Protocols = HttpProtocols.Http2;
            endpoint.AtMost(MostConnections);
            if (certificates is not null) endpoint.UseHttps(certificates);
        });
    }
}
