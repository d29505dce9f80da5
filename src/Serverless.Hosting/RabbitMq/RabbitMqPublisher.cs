using Microsoft.Extensions.Options;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Hosting.RabbitMq;

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
            var session = await link.SessionAsync(either.Token);
            using var lost = CancellationTokenSource.CreateLinkedTokenSource(either.Token, session.Lost);
            await PublishAsync(session, queue, model, properties, body, lost.Token);
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

    /// <summary>A queue that was deleted under us is declared once more.</summary>
    private static async Task PublishAsync(BrokerSession session, string queue, ModelName? model, BasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        try
        {
            if (model is { } declared) await session.DeclareAsync(declared, cancellationToken);
            await session.PublishAsync(queue, properties, body, cancellationToken);
        }
        catch (PublishException exception) when (exception.IsReturn)
        {
            if (model is { } missing) session.Missing(missing);
            if (model is { } again) await session.DeclareAsync(again, cancellationToken);
            else await session.DeclareAllAsync([]);
            await session.PublishAsync(queue, properties, body, cancellationToken);
        }
    }
}
