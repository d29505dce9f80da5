using Grpc.Net.Client;

namespace Serverless.Hosting.Sessions;

/// <summary>A channel to each gateway that this process has sessions with. One that nobody has used for a while, as that of a gateway that is gone, is closed. Thread-safe.</summary>
internal sealed class GatewayChannels(Func<string, GrpcChannel> open, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Idle = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    /// <summary>Channels that are open.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _entries.Count;
        }
    }

    /// <summary>The channel to that address, until disposed of.</summary>
    public Usage Use(string address)
    {
        lock (_lock)
        {
            foreach (var (gone, idle) in _entries.Where(entry => entry.Key != address && entry.Value.Users == 0 && time.GetElapsedTime(entry.Value.LeftAt) >= Idle).ToArray())
            {
                _entries.Remove(gone);
                idle.Channel.Dispose();
            }

            if (!_entries.TryGetValue(address, out var entry)) _entries[address] = entry = new Entry(open(address));
            entry.Users++;
            return new Usage(this, entry);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var entry in _entries.Values) entry.Channel.Dispose();
            _entries.Clear();
        }
    }

    private void Leave(Entry entry)
    {
        lock (_lock) (entry.Users, entry.LeftAt) = (entry.Users - 1, time.GetTimestamp());
    }

    /// <summary>A channel in use.</summary>
    public sealed class Usage(GatewayChannels owner, Entry entry) : IDisposable
    {
        private int _left;

        public GrpcChannel Channel => entry.Channel;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0) owner.Leave(entry);
        }
    }

    /// <summary>A channel and who uses it.</summary>
    public sealed class Entry(GrpcChannel channel)
    {
        public GrpcChannel Channel => channel;

        public int Users { get; set; }

        public long LeftAt { get; set; }
    }
}
