using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Dispatching;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Pools;
using Serverless.Gateway.Streaming;
using Serverless.Gateway.Telemetry;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts the gateway into a host.</summary>
public static class GatewayServices
{
    /// <summary>
    /// Adds the gateway: options from <c>Gateway:Admission</c> and <c>Gateway:Streaming</c>. The host brings the ports: catalogue, token counter, queue, log, demand, capacity and scale journal.
    /// </summary>
    public static IServiceCollection AddGateway(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.TryAddSingleton(_ => GatewayIdentity.New("memory"));
        services.AddOptions<AdmissionOptions>().BindConfiguration(AdmissionOptions.Section).ValidateOnStart();
        services.AddOptions<StreamingOptions>().BindConfiguration(StreamingOptions.Section).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<AdmissionOptions>, AdmissionOptions.Validator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<StreamingOptions>, StreamingOptions.Validator>());
        services.TryAddSingleton<GatewayMetrics>();
        services.TryAddSingleton<Admitter>();
        services.TryAddSingleton<WaitNotice>();
        services.TryAddSingleton<PoolsBody>();
        services.TryAddSingleton<ShutdownGate>();
        services.TryAddSingleton<RequestFlow>();
        return services.AddKestrelLimits().AddDrain();
    }

    private static IServiceCollection AddKestrelLimits(this IServiceCollection services)
    {
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<AdmissionOptions>>((kestrel, admission) =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = admission.Value.MaxBodyBytes;
            kestrel.Limits.MaxRequestLineSize = 8 * 1024;
            kestrel.Limits.MaxRequestHeadersTotalSize = 32 * 1024;
            kestrel.Limits.MaxRequestHeaderCount = 100;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
        });
        return services;
    }

    /// <summary>The host must wait longer than running answers may take, or it cuts them off unended.</summary>
    private static IServiceCollection AddDrain(this IServiceCollection services)
    {
        services.AddOptions<HostOptions>().Configure<IOptions<StreamingOptions>>((host, streaming) =>
        {
            var needed = streaming.Value.DrainTimeout + TimeSpan.FromSeconds(5);
            if (host.ShutdownTimeout < needed) host.ShutdownTimeout = needed;
        });
        return services;
    }
}
