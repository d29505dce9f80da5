using Serverless.Catalog;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>Declares queues without running anything: for operators who give gateways no right to.</summary>
public static class BrokerSetup
{
    /// <summary>Declares the queues of these models. Returns what the broker is, and a sentence for each queue that is there already with other arguments.</summary>
    /// <exception cref="BrokerException">It cannot be reached, or does not let us.</exception>
    public static async Task<(BrokerVersion Version, IReadOnlyList<string> Differences)> DeclareAsync(RabbitMqOptions options, IReadOnlyCollection<ModelName> models, CancellationToken cancellationToken)
    {
        var differences = new List<string>();
        try
        {
            await using var session = await BrokerSession.OpenAsync(options, new Topology(options.Prefix), (queue, reason) => differences.Add($"{queue}: {reason}"), cancellationToken);
            await session.DeclareAllAsync(models);
            return (session.Version, differences);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            throw new BrokerException($"RabbitMQ at {options.Url.Host}:{options.Url.Port} cannot be used: {exception.GetBaseException().Message} Give another --broker, or a user that may configure '{options.Prefix}.*'.", exception);
        }
    }
}

/// <summary>The broker cannot be used; the message says which, why, and what to do.</summary>
public sealed class BrokerException(string message, Exception? inner = null) : Exception(message, inner);
