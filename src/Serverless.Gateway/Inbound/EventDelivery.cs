using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Events;
using Serverless.Loops;

namespace Serverless.Gateway.Inbound;

/// <summary>Hands the events of the process's own bus to the handlers there are.</summary>
internal sealed partial class EventDelivery(MemoryEventBus bus, IEnumerable<IEventHandler> handlers, Supervisor supervisor, ILogger<EventDelivery> logger) : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private Task[] _running = [];

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _running =
        [
            .. handlers.SelectMany(handler => handler.Topics.Select(topic =>
                supervisor.RunAsync("event-delivery", stop => bus.DeliverAsync(topic, handler, (failed, e) => LogFailed(e, failed.Id, failed.Source), stop), _stop.Token, topic))),
        ];
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _stop.Dispose();

    [LoggerMessage(LogLevel.Error, "Event {Event} of {Source} could not be handled and is tried again.")]
    private partial void LogFailed(Exception exception, string @event, string source);
}
