using Dapr.Client;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Serverless.Documents;
using Serverless.Events;
using Serverless.Hosting.Dapr;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts what the Dapr sidecar offers behind the ports. Options from <c>Dapr</c>.</summary>
public static class DaprServices
{
    /// <summary><see cref="IDocumentStore"/> on the state API.</summary>
    public static IServiceCollection AddDaprDocuments(this IServiceCollection services)
    {
        services.AddSidecar().TryAddSingleton<DaprState>();
        services.TryAddSingleton<IDocumentStore, DaprDocumentStore>();
        return services;
    }

    /// <summary><see cref="IEventBus"/> on pub/sub; inbound events reach the <see cref="IEventHandler"/>s through <see cref="DaprRoutes.MapDaprEvents"/>.</summary>
    public static IServiceCollection AddDaprEvents(this IServiceCollection services)
    {
        services.AddSidecar().TryAddSingleton<IEventBus, DaprEventBus>();
        services.AddEventRoute();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<DaprOptions>, DaprOptions.RoomValidator>());
        return services;
    }

    /// <summary>Events that are posted to <see cref="DaprRoutes.MapDaprEvents"/>, for a host whose bus is another: <see cref="IEventBus"/> is the host's to bring.</summary>
    public static IServiceCollection AddEventRoute(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddCheckedOptions<DaprOptions, DaprOptions.Validator>(DaprOptions.Section);
        services.TryAddSingleton<DaprEventReceiver>();
        return services;
    }

    /// <summary><see cref="DaprSecrets"/> on the secret store.</summary>
    public static IServiceCollection AddDaprSecrets(this IServiceCollection services)
    {
        services.AddSidecar().TryAddSingleton(provider => new DaprSecrets(
            provider.GetRequiredService<DaprClient>(), provider.GetRequiredService<DaprCalls>(), provider.GetRequiredService<IOptions<DaprOptions>>()));
        return services;
    }

    private static IServiceCollection AddSidecar(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddCheckedOptions<DaprOptions, DaprOptions.Validator>(DaprOptions.Section);
        services.TryAddSingleton<DaprCalls>();
        services.AddDaprClient((provider, client) => client.UseGrpcChannelOptions(Channel(provider.GetRequiredService<IOptions<DaprOptions>>().Value)));
        return services;
    }

    /// <summary>A sidecar that comes back is used again at once; gRPC's own back-off grows to two minutes.</summary>
    private static GrpcChannelOptions Channel(DaprOptions options) => new()
    {
        MaxReceiveMessageSize = options.MaxMessageBytes,
        MaxSendMessageSize = options.MaxMessageBytes,
        InitialReconnectBackoff = TimeSpan.FromMilliseconds(100),
        MaxReconnectBackoff = TimeSpan.FromMilliseconds(500),
        HttpHandler = new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = TimeSpan.FromSeconds(10),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(5),
        },
    };
}
