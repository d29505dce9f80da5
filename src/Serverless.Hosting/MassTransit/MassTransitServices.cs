using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using Serverless.Hosting.MassTransit;
using Serverless.Hosting.RabbitMq.Connection;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts MassTransit into a host. Options from <c>MassTransit</c>.</summary>
public static class MassTransitServices
{
    /// <summary>Tag of MassTransit's own health check.</summary>
    private const string OwnCheck = "masstransit";

    /// <summary>
    /// Messages of other services, where they are switched on; the host brings <see cref="IInferenceMessages"/>. False: they are off, and nothing was added but the options, which are checked all
    /// the same.
    /// </summary>
    /// <param name="services">The host's.</param>
    /// <param name="configuration">The host's.</param>
    /// <param name="transport">What carries them where the options do not say.</param>
    public static bool TryAddMassTransitMessages(this IServiceCollection services, IConfiguration configuration, string transport)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        services.AddCheckedOptions<MassTransitOptions, MassTransitOptions.Validator, MassTransitOptions.ValueValidator>(MassTransitOptions.Section);
        var section = configuration.GetSection(MassTransitOptions.Section);
        if (!bool.TryParse(section[nameof(MassTransitOptions.Enabled)], out var enabled) || !enabled) return false;

        services.TryAddSingleton(TimeProvider.System);
        services.AddCheckedOptions<RabbitMqOptions, RabbitMqOptions.Validator>(RabbitMqOptions.Section);
        services.TryAddSingleton<MessageMetrics>();
        services.TryAddSingleton<MessageReceiver>();
        services.TryAddSingleton<IMessageSender, BusSender>();
        services.TryAddSingleton<BusDependency>();
        services.AddDependency<BusDependency>();
        services.Configure<MassTransitHostOptions>(host =>
        {
            host.WaitUntilStarted = false; // a broker that is not there yet holds nobody up
            host.ConsumerStopTimeout = TimeSpan.FromSeconds(15); // what is cut off then goes back to its queue
            host.StopTimeout = TimeSpan.FromSeconds(20);
        });
        services.PostConfigure<HealthCheckServiceOptions>(checks =>
        {
            foreach (var check in checks.Registrations.Where(check => check.Tags.Contains(OwnCheck)).ToArray()) checks.Registrations.Remove(check); // readiness asks BusDependency
        });
        services.AddMassTransit(bus =>
        {
            bus.DisableUsageTelemetry();
            bus.ConfigureHealthCheckOptions(check => check.Tags.Add(OwnCheck));
            bus.AddConsumer<SubmitInferenceConsumer>();
            bus.AddConsumer<CancelInferenceConsumer>();
            bus.AddConsumer<FollowInferenceConsumer>();
            if ((section[nameof(MassTransitOptions.Transport)] ?? transport) == MassTransitOptions.InMemory) bus.UsingInMemory(ConfigureInMemory);
            else bus.UsingRabbitMq(ConfigureRabbitMq);
        });
        return true;
    }

    private static void ConfigureInMemory(IBusRegistrationContext context, IInMemoryBusFactoryConfigurator bus)
    {
        var options = context.GetRequiredService<IOptions<MassTransitOptions>>().Value;
        IReceiveEndpointConfigurator? streams = null;
        foreach (var queue in Queues(options)) bus.ReceiveEndpoint(queue.Name, endpoint => Configure(context, endpoint, queue, ref streams));
    }

    private static void ConfigureRabbitMq(IBusRegistrationContext context, IRabbitMqBusFactoryConfigurator bus)
    {
        var options = context.GetRequiredService<IOptions<MassTransitOptions>>().Value;
        var broker = context.GetRequiredService<IOptions<RabbitMqOptions>>().Value;
        var url = options.Url ?? broker.Url;
        var isTls = url.Scheme == "amqps";
        var vhost = Uri.UnescapeDataString(url.AbsolutePath.TrimStart('/'));
        bus.Host(url.DnsSafeHost, (ushort)(url.Port > 0 ? url.Port : isTls ? 5671 : 5672), vhost.Length == 0 ? "/" : vhost, "serverless messages", host =>
        {
            if (url.UserInfo.Split(':') is [{ Length: > 0 } user, .. var password])
            {
                host.Username(Uri.UnescapeDataString(user));
                host.Password(Uri.UnescapeDataString(string.Join(':', password)));
            }

            host.Heartbeat(broker.Heartbeat);
            if (isTls) host.UseSsl(tls => tls.ServerName = url.DnsSafeHost);
        });
        IReceiveEndpointConfigurator? streams = null;
        foreach (var queue in Queues(options))
        {
            bus.ReceiveEndpoint(queue.Name, endpoint =>
            {
                if (options.QuorumQueues) endpoint.SetQuorumQueue();
                Configure(context, endpoint, queue, ref streams);
            });
        }
    }

    /// <summary>The queue of streams first: the others send to it.</summary>
    private static IEnumerable<MessageQueue> Queues(MassTransitOptions options) =>
    [
        new(options.StreamQueue, options.MaxStreams, options.MaxStreams, typeof(FollowInferenceConsumer)) { IsOurs = true },
        new(options.Queue, options.Prefetch, options.Concurrency, typeof(SubmitInferenceConsumer)),
        new(options.CancelQueue, options.Prefetch, options.Concurrency, typeof(CancelInferenceConsumer)),
    ];

    private static void Configure(IBusRegistrationContext context, IReceiveEndpointConfigurator endpoint, MessageQueue queue, ref IReceiveEndpointConfigurator? streams)
    {
        if (queue.IsOurs) streams = endpoint;
        else if (streams is not null) endpoint.AddDependency(streams); // a message to a queue that is not there yet would be lost
        endpoint.PrefetchCount = queue.Prefetch;
        endpoint.ConcurrentMessageLimit = queue.Concurrency;
        endpoint.PublishFaults = false; // who asked is told by an InferenceFailed
        endpoint.ConfigureConsumeTopology = !queue.IsOurs;
        endpoint.ConfigureConsumer(context, queue.Consumer);
    }

    /// <param name="Name">The queue.</param>
    /// <param name="Prefetch">Messages handed over before one is answered.</param>
    /// <param name="Concurrency">Messages worked on at once.</param>
    /// <param name="Consumer">Who takes them.</param>
    private sealed record MessageQueue(string Name, int Prefetch, int Concurrency, Type Consumer)
    {
        /// <summary>Nobody publishes to it.</summary>
        public bool IsOurs { get; init; }
    }
}
