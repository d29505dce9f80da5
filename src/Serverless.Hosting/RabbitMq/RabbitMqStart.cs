using Microsoft.Extensions.Hosting;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.Hosting.RabbitMq;

/// <summary>Connects when the host starts. A broker that is not there yet holds nobody up: the link goes on trying.</summary>
internal sealed class RabbitMqStart(RabbitMqLink link) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        _ = link.SessionAsync(cancellationToken);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
