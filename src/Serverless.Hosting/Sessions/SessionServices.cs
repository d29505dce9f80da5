using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Sessions;
using Serverless.Sessions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Worker sessions over gRPC, both ends. Options from <c>Sessions</c>.</summary>
public static class SessionServices
{
    /// <summary>The dispatchers' end: also listens on <see cref="WorkerSessionOptions.Port"/>. Map it with <see cref="MapWorkerSessions"/>.</summary>
    public static IServiceCollection AddGrpcWorkerSessions(this IServiceCollection services)
    {
        services.AddSessionOptions();
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = null;
            grpc.MaxSendMessageSize = null;
        });
        services.TryAddSingleton<GrpcWorkerSessions>();
        services.AddSingleton<IWorkerSessions>(provider => provider.GetRequiredService<GrpcWorkerSessions>());
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<WorkerSessionOptions>>((kestrel, sessions) => Listen(kestrel, sessions.Value));
        return services;
    }

    /// <summary>The workers' end.</summary>
    public static IServiceCollection AddGrpcDispatcherConnector(this IServiceCollection services)
    {
        services.AddSessionOptions();
        services.TryAddSingleton<GrpcDispatcherConnector>();
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
        return new UriBuilder(options.UsesTls ? Uri.UriSchemeHttps : Uri.UriSchemeHttp, options.Host ?? Environment.MachineName, options.PublicPort ?? options.Port).Uri.GetLeftPart(UriPartial.Authority);
    }

    private static void AddSessionOptions(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddOptions<WorkerSessionOptions>().BindConfiguration(WorkerSessionOptions.Section).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<WorkerSessionOptions>, WorkerSessionOptions.Validator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<WorkerSessionOptions>, WorkerSessionOptions.TlsValidator>());
    }

    private static void Listen(KestrelServerOptions kestrel, WorkerSessionOptions options)
    {
        kestrel.Limits.Http2.KeepAlivePingDelay = options.PingAfter;
        kestrel.Limits.Http2.KeepAlivePingTimeout = options.PingTimeout;
        kestrel.Listen(IPAddress.Any, options.Port, endpoint =>
        {
            endpoint.Protocols = HttpProtocols.Http2;
            if (!options.UsesTls) return;

            var certificates = new SessionCertificates(options); // for as long as the host
            endpoint.UseHttps(new HttpsConnectionAdapterOptions
            {
                ServerCertificate = certificates.Own,
                ClientCertificateMode = ClientCertificateMode.RequireCertificate,
                ClientCertificateValidation = (certificate, _, _) => certificates.Trusts(certificate),
                CheckCertificateRevocation = false,
            });
        });
    }
}
