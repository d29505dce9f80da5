using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace Serverless.Events;

/// <summary>The events of this process as they pass, for people who look on. It holds nobody up: who reads too slowly misses some, and is told how many. Thread-safe.</summary>
public sealed class EventTap
{
    private readonly ConcurrentDictionary<EventWatch, bool> _watches = new();

    /// <summary>An event passes: it was published here, or came.</summary>
    public void Saw(string topic, CloudEvent cloudEvent)
    {
        if (_watches.IsEmpty) return;
        foreach (var watch in _watches.Keys) watch.Saw(topic, cloudEvent);
    }

    /// <summary>What passes from now on, until it is disposed of.</summary>
    /// <param name="topics">Of these; none: of all.</param>
    public EventWatch Watch(IReadOnlyCollection<string> topics)
    {
        var watch = new EventWatch(topics, gone => _watches.TryRemove(gone, out _));
        _watches[watch] = true;
        return watch;
    }
}

/// <summary>Somebody who looks on. One reader.</summary>
public sealed class EventWatch : IDisposable
{
    private const int MostWaiting = 1000;
    private const long MostBytes = 16 * 1024 * 1024;

    private readonly Channel<SeenEvent> _waiting = Channel.CreateBounded<SeenEvent>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });
    private readonly IReadOnlyCollection<string> _topics;
    private readonly Action<EventWatch> _gone;
    private long _bytes;
    private int _missed;

    internal EventWatch(IReadOnlyCollection<string> topics, Action<EventWatch> gone) => (_topics, _gone) = (topics, gone);

    /// <summary>Until there is one.</summary>
    public async ValueTask WaitAsync(CancellationToken cancellationToken) => await _waiting.Reader.WaitToReadAsync(cancellationToken);

    /// <summary>The next, if there is one.</summary>
    public bool TryRead([NotNullWhen(true)] out SeenEvent? seen)
    {
        if (!_waiting.Reader.TryRead(out seen)) return false;

        Interlocked.Add(ref _bytes, -seen.Event.Data.Length);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _gone(this);

    internal void Saw(string topic, CloudEvent cloudEvent)
    {
        if (_topics.Count > 0 && !_topics.Contains(topic)) return;

        var missed = Interlocked.Exchange(ref _missed, 0);
        if (Interlocked.Add(ref _bytes, cloudEvent.Data.Length) <= MostBytes && _waiting.Writer.TryWrite(new SeenEvent(topic, cloudEvent, missed))) return;

        Interlocked.Add(ref _bytes, -cloudEvent.Data.Length);
        Interlocked.Add(ref _missed, missed + 1);
    }
}

/// <summary>An event that passed.</summary>
/// <param name="Topic">On which topic.</param>
/// <param name="Event">The event.</param>
/// <param name="Missed">How many before it were not kept for whoever reads this.</param>
public sealed record SeenEvent(string Topic, CloudEvent Event, int Missed);
