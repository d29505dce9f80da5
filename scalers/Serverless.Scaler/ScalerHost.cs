using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Distributed;
using Serverless.Hosting.Telemetry;
using Serverless.Scaler.Distributed;
using Serverless.Scaler.Listening;
using Serverless.Scaling.Planning;

namespace Serverless.Scaler;

/// <summary>The scaler as a process of its own: plans from what dispatchers publish, and answers KEDA.</summary>
public static class ScalerHost
{
    /// <summary>Builds it from configuration: sections <c>Distributed</c>, <c>Scaler</c> and <c>Redis</c>.</summary>
    public static WebApplication Build(string[] args)
    {
        var builder = WebApplication.CreateSlimBuilder(args).AddDistributedHost();
        builder.Services.AddOptions<ScalerOptions>().BindConfiguration(ScalerOptions.Section).ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<ScalerOptions>, ScalerOptions.Validator>();
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<ScalerOptions>>((kestrel, options) =>
            kestrel.ListenScaler(new IPEndPoint(IPAddress.Parse(options.Value.Keda.DnsSafeHost), options.Value.Keda.Port), options.Value.Tls));
        if (builder.Configuration.GetValue($"{ScalerOptions.Section}:{nameof(ScalerOptions.AskBroker)}", true)) builder.Services.AddQueueLimits().AddRabbitMqQueue();
        builder.Services.AddSingleton(provider => new PlannerOptions { Budgets = new Dictionary<string, int>(provider.GetRequiredService<IOptions<ScalerOptions>>().Value.Budgets ?? [], StringComparer.OrdinalIgnoreCase) });
        builder.Services
            .AddServerlessTelemetry()
            .AddRedisCatalog()
            .AddRedisFeeds()
            .AddRedisPlans()
            .AddScaler()
            .AddRedisScaleJournal()
            .AddHostedService<DecisionPublisher>();

        var app = builder.CheckOptions().Build();
        app.MapScaler();
        app.MapProbes();
        app.MapServerlessMetrics();
        return app;
    }
}
