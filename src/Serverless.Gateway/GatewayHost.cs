using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using Serverless.Gateway.Access;
using Serverless.Gateway.Routes;
using Serverless.Hosting.Configuration;
using Serverless.Hosting.Dapr;
using Serverless.Hosting.Distributed;
using Serverless.Hosting.MassTransit;
using Serverless.Hosting.Sessions;
using Serverless.Hosting.Tokens;
using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.Gateway;

/// <summary>The gateway as a process of its own.</summary>
public static class GatewayHost
{
    /// <summary>Builds it; <paramref name="configure"/> adds the ports (<see cref="GatewayServices.AddGateway"/> names them) and may set addresses, <paramref name="map"/> adds routes of other parts of the process, which guard themselves.</summary>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder> configure, Action<IEndpointRouteBuilder>? map = null)
    {
        var builder = ProcessBuilder.Create(args);
        builder.Services.AddGateway().AddServerlessTelemetry();
        builder.Services.AddProbes(HealthStatus.Unhealthy);
        configure(builder);

        var app = builder.CheckOptions().Build();
        app.UseMiddleware<FaultAnswer>();
        app.UseDoors();
        app.MapGateway();
        map?.Invoke(app.MapGroup("").AllowAnonymous());
        return app;
    }

    /// <summary>
    /// The gateway of the distributed shape, from configuration: work goes down through RabbitMQ and gRPC sessions, events come up through Redis, documents and other services'
    /// events go through the Dapr sidecar.
    /// </summary>
    public static WebApplication BuildDistributed(string[] args) => Build(
        args,
        builder => builder.AddDistributedHost("gateway").Services
            .AddDistributedCatalog(builder.Configuration)
            .AddSingleton<ITokenCounter, GgufTokenCounter>()
            .AddApiKeys(builder.Configuration)
            .AddQueueLimits()
            .AddRabbitMqQueue()
            .AddSingleton<Redrive>()
            .AddRedisRequestLog()
            .AddRedisLeases()
            .AddRedisFeeds()
            .AddCapacityFromDemand()
            .AddRedisScaleJournal()
            .AddGrpcWorkerSessions()
            .AddSingleton(provider => GatewayIdentity.New(SessionServices.SessionAddress(provider.GetRequiredService<IOptions<WorkerSessionOptions>>().Value)))
            .AddDaprDocuments()
            .AddDaprEvents()
            .AddMessages(builder.Configuration, MassTransitOptions.RabbitMq)
            .AddDispatchers(),
        app =>
        {
            app.MapWorkerSessions();
            app.MapDaprEvents();
        });
}
