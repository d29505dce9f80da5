using Serverless.Errors;

namespace Serverless.Gateway.Inbound;

/// <summary>
/// The order of events within their conversation: they are taken one at a time, in the order in which they came first. One that finds no room holds back those behind it, so that none of them
/// overtakes it when they come again; one that does not come again is given up after a while. What another gateway was handed is not known here. Thread-safe.
/// </summary>
internal sealed class ConversationOrder(TimeProvider time)
{
    /// <summary>The sidecar's last try is after five minutes (<c>components/resiliency.yaml</c>).</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(6);

    /// <summary>More that wait within one conversation come again without a place.</summary>
    private const int MostWaiting = 1024;

    /// <summary>So many conversations are known before those that wait for nothing any more are looked for.</summary>
    private const int ManyConversations = 1024;

    /// <summary>All are looked at no more often than this: with many that wait, each event would look at all of them.</summary>
    private static readonly TimeSpan PruneInterval = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Line> _lines = new(StringComparer.Ordinal);
    private DateTimeOffset _prunedAt;

    /// <summary>Conversations that are known.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _lines.Count;
        }
    }

    /// <summary>Takes an event in its turn.</summary>
    /// <param name="conversation">Which; of whom, too.</param>
    /// <param name="name">Which event.</param>
    /// <param name="take">Takes it.</param>
    /// <param name="cancellationToken">Ends the wait for those that are being taken.</param>
    public async ValueTask<BrokerVerdict> RunAsync(string conversation, string name, Func<ValueTask<BrokerVerdict>> take, CancellationToken cancellationToken)
    {
        var line = Join(conversation, name);
        try
        {
            await line.Turn.WaitAsync(cancellationToken);
            try
            {
                if (!MayPass(line, name)) return BrokerVerdict.Later(new ServingFault(ServingError.QueueFull, "An earlier event of its conversation waits for room; it is taken after that one."));

                var verdict = await take();
                if (verdict.Answer != BrokerAnswer.Retry) Remove(line, name);
                return verdict;
            }
            finally
            {
                line.Turn.Release();
            }
        }
        finally
        {
            Leave(conversation, line);
        }
    }

    private Line Join(string conversation, string name)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (_lines.Count >= ManyConversations && now - _prunedAt >= PruneInterval) Prune(now);
            if (!_lines.TryGetValue(conversation, out var line)) _lines[conversation] = line = new Line();
            line.Users++;
            var index = line.Waiting.FindIndex(one => one.Name == name);
            if (index >= 0) line.Waiting[index] = (name, now);
            else if (line.Waiting.Count < MostWaiting) line.Waiting.Add((name, now));
            return line;
        }
    }

    private bool MayPass(Line line, string name)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            line.Waiting.RemoveAll(one => one.Name != name && now - one.LastSeen > LongestWait);
            return line.Waiting.Count == 0 || line.Waiting[0].Name == name;
        }
    }

    private void Remove(Line line, string name)
    {
        lock (_lock) line.Waiting.RemoveAll(one => one.Name == name);
    }

    private void Leave(string conversation, Line line)
    {
        lock (_lock)
        {
            if (--line.Users > 0 || line.Waiting.Count > 0) return;

            _lines.Remove(conversation);
            line.Turn.Dispose();
        }
    }

    private void Prune(DateTimeOffset now)
    {
        _prunedAt = now;
        foreach (var (conversation, line) in _lines.Where(entry => entry.Value.Users == 0 && entry.Value.Waiting.All(one => now - one.LastSeen > LongestWait)).ToArray())
        {
            _lines.Remove(conversation);
            line.Turn.Dispose();
        }
    }

    private sealed class Line
    {
        /// <summary>One at a time, in the order in which they came.</summary>
        public SemaphoreSlim Turn { get; } = new(1);

        public int Users { get; set; }

        /// <summary>Those that came and are not taken, the first that came first.</summary>
        public List<(string Name, DateTimeOffset LastSeen)> Waiting { get; } = [];
    }
}
