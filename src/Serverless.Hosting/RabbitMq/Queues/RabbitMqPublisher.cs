using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>Publishes and waits for the broker's word, all in a bounded time. Publishes of many callers are on the wire together; none waits for another's confirm. Thread-safe.</summary>
internal sealed class RabbitMqPublisher(RabbitMqLink link, IOptions<RabbitMqOptions> options, TimeProvider time)
{
    /// <summary>Null: the message is safe. Else why that is not known: it may be there all the same.</summary>
    public async ValueTask<ServingFault?> TryPublishAsync(string queue, ModelName? model, BasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(options.Value.PublishTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await PublishAsync(queue, model, properties, body, either.Token);
            return null;
        }
        catch (PublishException exception)
        {
            return BrokerFaults.Unavailable(exception.IsReturn ? $"the broker has no queue '{queue}'" : "the broker refused the message");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return BrokerFaults.Unavailable(limit.IsCancellationRequested ? $"the broker did not confirm within {options.Value.PublishTimeout.TotalSeconds:0.#} s" : "the connection was lost before the broker confirmed");
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            return BrokerFaults.Unavailable(exception.Message);
        }
    }

    /// <summary>A queue that was deleted under us is declared once more, on another connection.</summary>
    private async Task PublishAsync(string queue, ModelName? model, BasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        for (var again = options.Value.Declare; ; again = false)
        {
            var session = await link.SessionAsync(cancellationToken);
            using var lost = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, session.Lost);
            try
            {
                if (model is { } declared) await session.DeclareAsync(declared, lost.Token);
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
