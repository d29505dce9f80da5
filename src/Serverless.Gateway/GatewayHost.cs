using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Gateway.Routes;
using Serverless.Hosting.Telemetry;

namespace Serverless.Gateway;

/// <summary>The gateway as a process of its own.</summary>
public static class GatewayHost
{
    /// <summary>Builds it; <paramref name="configure"/> adds the ports (<see cref="GatewayServices.AddGateway"/> names them) and may set addresses, <paramref name="map"/> adds routes of other parts of the process.</summary>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder> configure, Action<WebApplication>? map = null)
    {
        var builder = WebApplication.CreateSlimBuilder(args);
        builder.Services.AddGateway().AddServerlessTelemetry();
        configure(builder);

        var app = builder.Build();
        app.MapGateway();
        app.MapServerlessMetrics();
        map?.Invoke(app);
        return app;
    }
}
