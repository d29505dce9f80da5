using Serverless.Hosting.Telemetry;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>The broker as probes and the gauge of dependencies see it.</summary>
internal sealed class BrokerDependency(RabbitMqLink link, TimeProvider time) : IDependency
{
    /// <summary>A broker that did not confirm is known to be well only by what is published, and a gateway that is not ready is given nothing to publish: after so long it is tried again.</summary>
    private static readonly TimeSpan Doubt = TimeSpan.FromSeconds(30);

    public string Name => "rabbitmq";

    public ValueTask<string?> FindFaultAsync(CancellationToken cancellationToken)
    {
        var status = link.Status;
        if (status.IsReachable) return new((string?)null);
        if (link.Current is null) return new("cannot be reached");
        return new(time.GetUtcNow() - status.Since < Doubt ? "does not confirm what is published" : null);
    }
}
