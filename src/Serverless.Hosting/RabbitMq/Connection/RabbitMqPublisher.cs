using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Serverless.Errors;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>Publishes and waits for the broker's word, all in a bounded time. Publishes of many callers are on the wire together; none waits for another's confirm. Thread-safe.</summary>
internal sealed class RabbitMqPublisher(RabbitMqLink link, IOptions<RabbitMqOptions> options, TimeProvider time)
{
    /// <summary>Null: the message is safe. Else why that is not known: it may be there all the same.</summary>
    /// <param name="queue">One of ours.</param>
    /// <param name="properties">Headers and all.</param>
    /// <param name="body">Not read any more when this returns.</param>
    /// <param name="first">What is done before it, in the same time.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    public async ValueTask<ServingFault?> TryPublishAsync(string queue, BasicProperties properties, ReadOnlyMemory<byte> body, Func<CancellationToken, ValueTask>? first, CancellationToken cancellationToken)
    {
        if (HeaderBounds.Check(properties) is { } tooLarge) return tooLarge;

        using var limit = new CancellationTokenSource(options.Value.PublishTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            if (first is not null) await first(either.Token);
            await PublishAsync(queue, properties, body, either.Token);
            link.Confirmed();
            return null;
        }
        catch (PublishException exception)
        {
            return BrokerFaults.Unavailable(exception.IsReturn ? $"the broker has no queue '{queue}'" : "the broker refused the message");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            if (!limit.IsCancellationRequested) return BrokerFaults.Unavailable("the connection was lost before the broker confirmed");

            link.Unconfirmed();
            return BrokerFaults.Unavailable($"the broker did not confirm within {options.Value.PublishTimeout.TotalSeconds:0.#} s");
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            return BrokerFaults.Unavailable(exception.Message);
        }
    }

    /// <summary>A queue that was deleted under us is declared once more, on another connection.</summary>
    private async Task PublishAsync(string queue, BasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        for (var again = options.Value.Declare; ; again = false)
        {
            var session = await link.SessionAsync(cancellationToken);
            using var lost = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, session.Lost);
            try
            {
                await session.DeclareAsync(queue, lost.Token);
                await session.PublishAsync(queue, properties, body, lost.Token);
                return;
            }
            catch (PublishException exception) when (exception.IsReturn && again)
            {
                session.Abandon($"it has lost the queue '{queue}'");
            }
        }
    }
}
