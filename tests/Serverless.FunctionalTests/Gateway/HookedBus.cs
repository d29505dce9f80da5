using System.Collections.Concurrent;
using System.Threading.Channels;
using Serverless.Events;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A bus that a test looks into: what is published goes on to the true one unless the test says otherwise.</summary>
/// <param name="bus">The true one.</param>
/// <param name="before">Called with each event; false: it goes no further.</param>
internal sealed class HookedBus(MemoryEventBus bus, Func<string, CloudEvent, ValueTask<bool>> before) : IEventBus
{
    private readonly ConcurrentDictionary<string, Channel<CloudEvent>> _published = new(StringComparer.Ordinal);

    /// <summary>What was published to a topic, in order.</summary>
    public ChannelReader<CloudEvent> Of(string topic) => ChannelOf(topic).Reader;

    public async ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        if (!await before(topic, cloudEvent)) return;

        await ChannelOf(topic).Writer.WriteAsync(cloudEvent, cancellationToken);
        await bus.PublishAsync(topic, cloudEvent, cancellationToken);
    }

    private Channel<CloudEvent> ChannelOf(string topic) => _published.GetOrAdd(topic, _ => Channel.CreateBounded<CloudEvent>(100_000));
}
