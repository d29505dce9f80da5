using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Hosting.Configuration;
using Serverless.Hosting.Distributed;
using Serverless.Hosting.Telemetry;
using Serverless.Worker.Local;

namespace Serverless.Worker;

/// <summary>A worker as a process of its own: one replica of one pool.</summary>
public static class WorkerHost
{
    /// <summary>Builds it; <paramref name="configure"/> adds the ports (<see cref="WorkerServiceCollectionExtensions.AddWorker"/> names them) and may set addresses.</summary>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        var builder = ProcessBuilder.Create(args);
        builder.Services.AddWorker().AddServerlessTelemetry().AddClosedMetrics();

        // What runs goes on into its buffers while Redis is away: the replica serves, and is worth keeping.
        builder.Services.AddProbes(HealthStatus.Degraded).AddCheck<ReplicaCheck>("replica", tags: [ProbeServices.Ready]);
        configure(builder);

        var app = builder.CheckOptions().Build();
        app.MapClosedMetrics();
        app.MapProbes();
        return app;
    }

    /// <summary>The worker of the distributed shape, from configuration: it finds its dispatcher by the lease in Redis, and appends to the log there.</summary>
    public static WebApplication BuildDistributed(string[] args) => Build(args, builder => builder.AddDistributedHost("worker").Services
        .AddDistributedCatalog(builder.Configuration)
        .AddRedisRequestLog()
        .AddRedisLeases()
        .AddGrpcDispatcherConnector());
}
