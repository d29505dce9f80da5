using Microsoft.Extensions.Options;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>The bytes that all consumers of this process hold unanswered, and how far a window may open beside them. Thread-safe.</summary>
internal sealed class OutstandingBytes(IOptions<RabbitMqOptions> options)
{
    /// <summary>What each queue may have outstanding whatever the budget, so that everything goes on.</summary>
    public const int SmallestWindow = 16;

    /// <summary>Of the client's sixteen bits.</summary>
    private const int LargestWindow = 16_384;

    private long _held;

    public long Held => Interlocked.Read(ref _held);

    public void Add(long bytes) => Interlocked.Add(ref _held, bytes);

    public void Remove(long bytes) => Interlocked.Add(ref _held, -bytes);

    /// <summary>The next window after one that is full: at most twice as large, and what the budget has room for at that mean size. Null: there is none, and the present one has to do.</summary>
    public int? Window(int present, long meanBytes)
    {
        var room = (options.Value.MaxOutstandingBytes - Held) / Math.Max(1, meanBytes);
        var window = Math.Min(Math.Min(2L * present, LargestWindow), room);
        return window < SmallestWindow ? null : (int)window;
    }
}
