using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Errors;

namespace Serverless.Events;

/// <summary>
/// Events within one process. A topic's events go to its handlers and to whoever reads it at that moment; with neither they are dropped, as by a broker without subscribers.
/// An event that is to be tried again comes again after a while; one that its handler fails on again and again is put away, or it would hold up its topic for ever. Thread-safe.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="retryDelay">How long an event waits before it is tried again. Default: 1 second.</param>
/// <param name="tap">Who looks on.</param>
public sealed class MemoryEventBus(TimeProvider time, TimeSpan? retryDelay = null, EventTap? tap = null) : IEventBus
{
    private const int Capacity = 10_000;
    private const int MaxDeadLetters = 1000;

    /// <summary>A handler may fail on an event so often: as often as a sidecar delivers one (<c>components/resiliency.yaml</c>).</summary>
    private const int MostFailures = 60;

    private readonly TimeSpan _retryDelay = retryDelay ?? TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<Channel<CloudEvent>, bool>> _readers = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<CloudEvent> _deadLetters = new();

    /// <summary>Events that a handler gave up, the newest last; bounded.</summary>
    public IReadOnlyCollection<CloudEvent> DeadLetters => _deadLetters;

    /// <inheritdoc/>
    public async ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(cloudEvent);
        tap?.Saw(topic, cloudEvent);
        if (!_readers.TryGetValue(topic, out var readers)) return;
        foreach (var reader in readers.Keys) await reader.Writer.WriteAsync(cloudEvent, cancellationToken);
    }

    /// <summary>The topic's events from now on: the subscription stands when this returns.</summary>
    public IAsyncEnumerable<CloudEvent> SubscribeAsync(string topic, CancellationToken cancellationToken)
    {
        var channel = Channel.CreateBounded<CloudEvent>(new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });
        var readers = _readers.GetOrAdd(topic, _ => new ConcurrentDictionary<Channel<CloudEvent>, bool>());
        readers[channel] = true;
        return ReadAsync(cancellationToken);

        async IAsyncEnumerable<CloudEvent> ReadAsync([EnumeratorCancellation] CancellationToken stop)
        {
            try
            {
                await foreach (var next in channel.Reader.ReadAllAsync(stop)) yield return next;
            }
            finally
            {
                readers.TryRemove(channel, out _);
            }
        }
    }

    /// <summary>Hands a topic's events to its handler, one after another or as many at once as it says, until stopped. The subscription stands when this returns its task.</summary>
    public Task DeliverAsync(string topic, IEventHandler handler, Action<CloudEvent, Exception> failed, CancellationToken stoppingToken)
    {
        ArgumentNullException.ThrowIfNull(handler);
        ArgumentNullException.ThrowIfNull(failed);
        return RunAsync(SubscribeAsync(topic, stoppingToken));

        async Task RunAsync(IAsyncEnumerable<CloudEvent> events)
        {
            if (handler.AtOnce > 1)
            {
                await Parallel.ForEachAsync(events, new ParallelOptions { MaxDegreeOfParallelism = handler.AtOnce, CancellationToken = stoppingToken }, HandleAsync);
                return;
            }

            await foreach (var next in events.WithCancellation(stoppingToken)) await HandleAsync(next, stoppingToken);
        }

        async ValueTask HandleAsync(CloudEvent next, CancellationToken stop)
        {
            var verdict = await AnswerAsync(handler, next, failed, stop);
            for (var failures = 0; verdict.Answer == BrokerAnswer.Retry; verdict = await AnswerAsync(handler, next, failed, stop))
            {
                if (verdict == Failed && ++failures >= MostFailures)
                {
                    verdict = BrokerVerdict.Refused(new ServingFault(ServingError.Internal, $"The handler of topic '{topic}' failed on it {failures} times; the log says how."));
                    break;
                }

                await Task.Delay(_retryDelay, time, stop);
            }

            if (verdict.Answer == BrokerAnswer.DeadLetter) await PublishAsync(EventTopics.RequestsDead, Keep(DeadEvent.Of(next, topic, verdict.Fault)), stop);
        }
    }

    private static async Task<BrokerVerdict> AnswerAsync(IEventHandler handler, CloudEvent next, Action<CloudEvent, Exception> failed, CancellationToken stoppingToken)
    {
        try
        {
            return await handler.HandleAsync(next, stoppingToken);
        }
        catch (Exception e) when (!stoppingToken.IsCancellationRequested)
        {
            failed(next, e);
            return Failed;
        }
    }

    /// <summary>The handler threw: nobody can say that it passes.</summary>
    private static BrokerVerdict Failed { get; } = new(BrokerAnswer.Retry, new ServingFault(ServingError.Internal, "The handler failed."));

    private CloudEvent Keep(CloudEvent given)
    {
        _deadLetters.Enqueue(given);
        while (_deadLetters.Count > MaxDeadLetters) _deadLetters.TryDequeue(out _);
        return given;
    }
}
