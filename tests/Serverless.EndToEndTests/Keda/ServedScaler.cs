using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Demand;
using Serverless.Leases;
using Serverless.Scaler.Listening;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.EndToEndTests.Keda;

/// <summary>A scaler as it is deployed, in this process and on a port of its own; it can be made to hang or fail.</summary>
internal sealed class ServedScaler : IScalerUnderTest
{
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<HttpContext, bool> _open = new();
    private volatile Fault _fault;

    private ServedScaler(WebApplication app) => _app = app;

    public int Port => new Uri(_app.Urls.Single()).Port;

    public string Address => new Uri(_app.Urls.Single()).Authority;

    public static async Task<ServedScaler> StartAsync(ScalerWorld world, ScalerTlsOptions? tls = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenScaler(new IPEndPoint(IPAddress.Loopback, 0), tls));
        builder.Services
            .AddSingleton(TimeProvider.System)
            .AddSingleton(world.Catalog)
            .AddSingleton<IDemandFeed>(world.Demand)
            .AddSingleton<ICapacityFeed>(world.Capacity)
            .AddSingleton<ILeases>(world.Leases)
            .AddSingleton<IPlanFeed>(world.Plans)

            // Demand is declared once and stands; the window is short so that the test is.
            .AddSingleton(new PlannerOptions { StaleAfter = TimeSpan.FromHours(1), Window = TimeSpan.FromSeconds(3) })
            .AddScaler();
        var app = builder.Build();
        var scaler = new ServedScaler(app);
        app.Use(scaler.BefallAsync);
        app.MapScaler();
        await app.StartAsync(CancellationToken.None);
        return scaler;
    }

    public Task BefallAsync(Fault fault)
    {
        _fault = fault;
        if (fault == Fault.None) return Task.CompletedTask;

        // Streams that are open would go on; a scaler that hangs or fails has none.
        foreach (var open in _open.Keys) open.Abort();
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private async Task BefallAsync(HttpContext http, RequestDelegate next)
    {
        switch (_fault)
        {
            case Fault.Hung:
                var hangs = new TaskCompletionSource();
                await using (http.RequestAborted.Register(() => hangs.TrySetResult())) await hangs.Task;
                break;
            case Fault.Failing:
                http.Response.ContentType = "application/grpc";
                http.Response.Headers["grpc-status"] = "14";
                http.Response.Headers["grpc-message"] = "failing as told";
                break;
            default:
                _open[http] = true;
                try
                {
                    await next(http);
                }
                finally
                {
                    _open.TryRemove(http, out _);
                }

                break;
        }
    }
}
