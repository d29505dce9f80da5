using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Configuration;
using Serverless.Hosting.Distributed;
using Serverless.Hosting.Telemetry;
using Serverless.Scaler.Distributed;
using Serverless.Scaler.Keda;
using Serverless.Scaler.Listening;
using Serverless.Scaling.Planning;

namespace Serverless.Scaler;

/// <summary>The scaler as a process of its own: plans from what dispatchers publish, and answers KEDA.</summary>
public static class ScalerHost
{
    /// <summary>Builds it from configuration: sections <c>Distributed</c>, <c>Scaler</c> and <c>Redis</c>.</summary>
    public static WebApplication Build(string[] args)
    {
        var builder = ProcessBuilder.Create(args).AddDistributedHost("scaler");
        builder.Services.AddCheckedOptions<ScalerOptions, ScalerOptions.Validator>(ScalerOptions.Section);
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<ScalerOptions>>((kestrel, options) => kestrel.ListenScaler(options.Value.Address, options.Value.Tls));
        builder.Services.AddHostedService<OpenScalerWarning>();
        if (builder.Configuration.GetValue($"{ScalerOptions.Section}:{nameof(ScalerOptions.AskBroker)}", true)) builder.Services.AddQueueLimits().AddRabbitMqQueue();
        builder.Services.AddSingleton(provider => new PlannerOptions { Budgets = new Dictionary<string, int>(provider.GetRequiredService<IOptions<ScalerOptions>>().Value.Budgets ?? [], StringComparer.OrdinalIgnoreCase) });
        builder.Services
            .AddServerlessTelemetry()
            .AddClosedMetrics()
            .AddRedisCatalog()
            .AddRedisFeeds()
            .AddRedisPlans()
            .AddScaler()
            .AddRedisScaleJournal()
            .AddHostedService<DecisionPublisher>();

        // It answers from the last plan whatever is away: KEDA, left without an answer, may take a pool to zero. So only a scaler that has none is not ready.
        builder.Services.AddProbes(HealthStatus.Degraded)
            .AddCheck<PlanKnownCheck>("answers", tags: [ProbeServices.Ready])
            .AddCheck<PlanAgeCheck>("plan", HealthStatus.Degraded, [ProbeServices.Ready]);

        var app = builder.CheckOptions().Build();
        app.MapScaler();
        app.MapProbes();
        app.MapClosedMetrics();
        return app;
    }
}
