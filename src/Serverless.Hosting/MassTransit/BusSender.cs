using MassTransit;
using Microsoft.Extensions.Options;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.Hosting.MassTransit;

/// <summary><see cref="IMessageSender"/> over the bus of this process. Thread-safe.</summary>
internal sealed class BusSender(IBusControl bus, IOptions<MassTransitOptions> options, IOptions<RabbitMqOptions> broker, MessageMetrics metrics, TimeProvider time) : IMessageSender
{
    /// <summary>A bus whose broker is away waits for it, so we do not.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>None that declares a queue: it is its owner's to say how.</summary>
    private static readonly string[] Schemes = ["exchange", "topic", "rabbitmq", "rabbitmqs", "amqp", "amqps", "loopback"];

    private readonly Uri _streams = new("exchange:" + options.Value.StreamQueue);

    private readonly string[] _ours =
    [
        options.Value.Queue, options.Value.CancelQueue, options.Value.StreamQueue,
        .. new[] { typeof(SubmitInference), typeof(CancelInference) }.Select(type => $"{type.Namespace}:{type.Name}"),
    ];

    public async Task<bool> SendAsync<T>(Uri? address, T message, MessageNames names, CancellationToken cancellationToken)
        where T : class
    {
        using var limit = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            // Waited for here, too: what a lost connection took with it may never end, whatever its token says (rabbitmq-dotnet-client #1930).
            await (address is null ? bus.Publish(message, context => Name(context, names), either.Token) : DeliverAsync(address, message, names, either.Token)).WaitAsync(either.Token);
            metrics.Sent(typeof(T).Name, isPublished: address is null);
            return true;
        }
        catch (MessageReturnedException)
        {
            metrics.Unsent(typeof(T).Name);
            return false;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            metrics.Unsent(typeof(T).Name);
            var why = limit.IsCancellationRequested ? $"it did not take it within {Patience.TotalSeconds:0} s" : $"{exception.GetType().Name}: {exception.Message}";
            throw new ServingException(new ServingFault(ServingError.StoreUnavailable, $"The message bus has not taken {typeof(T).Name} for {(address is null ? "its subscribers" : $"'{Shown(address)}'")}: {why}"), exception);
        }
    }

    public Task<bool> SendAsync(FollowInference follow, MessageNames names, CancellationToken cancellationToken) => SendAsync(_streams, follow, names, cancellationToken);

    public bool IsConnected => bus.CheckHealth().Status == BusHealthStatus.Healthy;

    public string? WhyNot(Uri address)
    {
        if (!address.IsAbsoluteUri || !Schemes.Contains(address.Scheme, StringComparer.Ordinal)) return $"'{Shown(address)}' is no address of this bus; it takes exchange:NAME of a receive endpoint, or the address of one";

        var name = Uri.UnescapeDataString(address.AbsolutePath.Split('/')[^1]);
        if (name.Length == 0 || IsOurs(name)) return $"'{Shown(address)}' names {(name.Length == 0 ? "nothing" : "a queue of the gateways")}; give the name of a receive endpoint of yours";
        return null;
    }

    private async Task DeliverAsync<T>(Uri address, T message, MessageNames names, CancellationToken cancellationToken)
        where T : class
    {
        var endpoint = await bus.GetSendEndpoint(address);
        await endpoint.Send(
            message,
            context =>
            {
                Name(context, names);
                if (context.TryGetPayload(out RabbitMqSendContext? rabbit)) rabbit.Mandatory = true; // else what no queue gets is confirmed all the same
            },
            cancellationToken);
    }

    /// <summary>Queues of the gateways, what MassTransit puts beside each (<c>_error</c>, <c>_skipped</c>), and the exchanges by which what is published comes to them.</summary>
    private bool IsOurs(string name) =>
        _ours.Contains(name, StringComparer.Ordinal) || _ours.Any(queue => name.StartsWith(queue + "_", StringComparison.Ordinal)) || name.StartsWith(broker.Value.Prefix + ".", StringComparison.Ordinal);

    private static string Shown(Uri address) => address is { IsAbsoluteUri: true, UserInfo.Length: > 0 } ? address.GetComponents(UriComponents.AbsoluteUri & ~UriComponents.UserInfo, UriFormat.SafeUnescaped) : address.OriginalString;

    private static void Name(SendContext context, MessageNames names)
    {
        context.MessageId = names.MessageId;
        context.RequestId = names.RequestId;
        context.CorrelationId = names.CorrelationId ?? context.CorrelationId;
        context.ConversationId = names.ConversationId ?? context.ConversationId;
        if (names.TraceParent is { } trace) context.Headers.Set(MessageReceiver.TraceHeader, trace);
    }
}
