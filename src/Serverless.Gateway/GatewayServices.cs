using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Batches;
using Serverless.Events;
using Serverless.Gateway.Access;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Batches;
using Serverless.Gateway.Callbacks;
using Serverless.Gateway.EventAdmin;
using Serverless.Gateway.Files;
using Serverless.Gateway.Deltas;
using Serverless.Gateway.Inbound;
using Serverless.Gateway.Notices;
using Serverless.Gateway.Outbound;
using Serverless.Gateway.Pools;
using Serverless.Gateway.Requests;
using Serverless.Gateway.Routes;
using Serverless.Gateway.Streaming;
using Serverless.Gateway.Telemetry;
using Serverless.Gateway.Waiting;
using Serverless.Hosting.Webhooks;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Tenancy;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts the gateway into a host.</summary>
public static class GatewayServices
{
    /// <summary>
    /// Adds the gateway: options from <c>Gateway:Access</c>, <c>:Admission</c>, <c>:Streaming</c>, <c>:Holding</c>, <c>:Promises</c>, <c>:Waiting</c>, <c>:Events</c>, <c>:Notices</c>, <c>:Batches</c> and <c>:Callbacks</c>, and from <c>Files</c>. The host brings the ports:
    /// catalogue, token counter, queue, log, leases, documents, events, demand, capacity and scale journal; and, if keys are asked for, their source.
    /// </summary>
    public static IServiceCollection AddGateway(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddMetrics();
        services.AddEngines();
        services
            .AddValidated<AccessOptions, AccessOptions.Validator>(AccessOptions.Section)
            .AddValidated<AdmissionOptions, AdmissionOptions.Validator>(AdmissionOptions.Section)
            .AddValidated<StreamingOptions, StreamingOptions.Validator>(StreamingOptions.Section)
            .AddValidated<HoldingOptions, HoldingOptions.Validator>(HoldingOptions.Section)
            .AddValidated<PromiseOptions, PromiseOptions.Validator>(PromiseOptions.Section)
            .AddValidated<WaitOptions, WaitOptions.Validator>(WaitOptions.Section)
            .AddValidated<EventOptions, EventOptions.Validator>(EventOptions.Section)
            .AddValidated<NoticeOptions, NoticeOptions.Validator>(NoticeOptions.Section)
            .AddValidated<BatchOptions, BatchOptions.Validator>(BatchOptions.Section)
            .AddValidated<CallbackOptions, CallbackRanges>(CallbackOptions.Section);
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<CallbackOptions>, CallbackOptions.ValueValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<AdmissionOptions>, AdmissionOptions.BetweenValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<AccessOptions>, AccessOptions.UrlValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EventOptions>, EventOptions.ValueValidator>());
        services.TryAddSingleton<IApiKeySource, NoApiKeys>();
        services.TryAddSingleton(_ => GatewayIdentity.New("memory"));
        services.TryAddSingleton<GatewayMetrics>();
        services.TryAddSingleton(provider => new ByteBudget(provider.GetRequiredService<IOptions<AdmissionOptions>>().Value.MaxTotalBytes));
        services.TryAddSingleton<RequestBody>();
        services.TryAddSingleton<Admitter>();
        services.TryAddSingleton<QueueView>();
        services.TryAddSingleton<WaitNotice>();
        services.TryAddSingleton<PoolsBody>();
        services.TryAddSingleton<PoolSight>();
        services.TryAddSingleton<NoticeMetrics>();
        services.TryAddSingleton<EventNotices>();
        services.TryAddSingleton<EventTap>();
        services.TryAddSingleton<ShutdownGate>();
        return services.AddDoors().AddRequests().AddPromises().AddCallbacks().AddFileFace().AddBatchFace().AddKestrelLimits().AddOperatorsPort().AddDrain();
    }

    /// <summary>Delivers events within the process, where no broker does: what other parts publish on <c>serverless.requests</c> is served, results can be subscribed to.</summary>
    public static IServiceCollection AddMemoryEvents(this IServiceCollection services)
    {
        services.TryAddSingleton<MemoryEventBus>();
        services.TryAddSingleton<IEventBus>(provider => provider.GetRequiredService<MemoryEventBus>());
        services.AddHostedService<EventDelivery>();
        return services;
    }

    /// <summary>The request service, and its face over HTTP.</summary>
    private static IServiceCollection AddRequests(this IServiceCollection services)
    {
        services.TryAddSingleton<HeldRequests>();
        services.AddHostedService(provider => provider.GetRequiredService<HeldRequests>());
        services.TryAddSingleton<Submitter>();
        services.TryAddSingleton<LogFollower>();
        services.TryAddSingleton<RequestFollower>();
        services.TryAddSingleton<IdempotencyKeys>();
        services.TryAddSingleton<IdempotentCalls>();
        services.TryAddSingleton<RequestService>();
        services.TryAddSingleton<AnswerSender>();
        services.TryAddSingleton<RefusalLog>();
        services.TryAddSingleton<InferenceRoutes>();
        return services;
    }

    /// <summary>What an id promises, and who asks for it.</summary>
    private static IServiceCollection AddPromises(this IServiceCollection services)
    {
        services.TryAddSingleton<RequestRecords>();
        services.TryAddSingleton<RecordReader>();
        services.TryAddSingleton<RequestDirectory>();
        services.TryAddSingleton<ResultEvents>();
        services.TryAddSingleton<PromisedRequests>();
        services.TryAddSingleton<ResultKeeper>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEndObserver, ResultKeeper>(provider => provider.GetRequiredService<ResultKeeper>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEndObserver, KeyedAnswers>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEndObserver, UsageObserver>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEventHandler, ResultEcho>());
        services.TryAddSingleton<DeltaFollower>();
        services.TryAddSingleton<EventReplies>();
        services.TryAddSingleton<EventStreams>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEndObserver, EventReplies>(provider => provider.GetRequiredService<EventReplies>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEventHandler, EventStreams>(provider => provider.GetRequiredService<EventStreams>()));
        services.TryAddSingleton<EventRecords>();
        services.TryAddSingleton<ConversationOrder>();
        services.TryAddSingleton<InferenceEventHandler>();
        services.TryAddSingleton<EventDesk>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEventHandler, InferenceEventHandler>(provider => provider.GetRequiredService<InferenceEventHandler>()));
        return services;
    }

    /// <summary>Calls to clients when what an id promised has ended. After the promises: a callback tells what is kept.</summary>
    private static IServiceCollection AddCallbacks(this IServiceCollection services)
    {
        services.TryAddSingleton<CallbackPolicy>();
        services.TryAddSingleton<CallbackOutbox>();
        services.TryAddSingleton<CallbackMetrics>();
        services.TryAddSingleton<CallbackCaller>();
        services.TryAddSingleton(provider =>
        {
            var options = provider.GetRequiredService<IOptions<CallbackOptions>>().Value;
            return new WebhookSender(new WebhookLimits(options.Timeout, options.AllowPrivateAddresses), provider.GetRequiredService<TimeProvider>());
        });
        services.TryAddSingleton<CallbackDelivery>();
        services.AddHostedService(provider => provider.GetRequiredService<CallbackDelivery>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEndObserver, CallbackObserver>());
        return services;
    }

    /// <summary>Files, and their face over HTTP.</summary>
    private static IServiceCollection AddFileFace(this IServiceCollection services)
    {
        services.AddFiles();
        services.TryAddSingleton<FileMetrics>();
        services.TryAddSingleton<FileUploads>();
        services.TryAddSingleton<HourlyTurn>();
        services.AddHostedService<FileSweeper>();
        return services;
    }

    /// <summary>Batches, their face over HTTP, and who runs them.</summary>
    private static IServiceCollection AddBatchFace(this IServiceCollection services)
    {
        services.TryAddSingleton<BatchDirectory>();
        services.TryAddSingleton<BatchStore>();
        services.TryAddSingleton<BatchPlan>();
        services.TryAddSingleton<BatchMetrics>();
        services.TryAddSingleton<LineRunner>();
        services.TryAddSingleton<BatchParts>();
        services.TryAddSingleton<BatchNotices>();
        services.TryAddSingleton<BatchCoordinator>();
        services.AddHostedService(provider => provider.GetRequiredService<BatchCoordinator>());
        services.AddHostedService<BatchSweeper>();
        return services;
    }

    private static IServiceCollection AddValidated<TOptions, TValidator>(this IServiceCollection services, string section)
        where TOptions : class
        where TValidator : class, IValidateOptions<TOptions>
    {
        services.AddOptionsWithValidateOnStart<TOptions, TValidator>().BindConfiguration(section);
        return services;
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

    /// <summary>After the host's own addresses: the first of those is where it is reached.</summary>
    private static IServiceCollection AddOperatorsPort(this IServiceCollection services)
    {
        services.AddOptions<KestrelServerOptions>().PostConfigure<IOptions<AccessOptions>>((kestrel, access) =>
        {
            if (access.Value.AdminUrl is { } url) kestrel.Listen(IPAddress.Parse(url.DnsSafeHost), url.Port);
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
