using System.Collections.Concurrent;
using System.Threading.Channels;
using Serverless.Loops;

namespace Serverless.Tests.Dispatching;

/// <summary>What failed, in order.</summary>
internal sealed class RecordingLoops : ILoopObserver
{
    private readonly Channel<string> _told = Channel.CreateBounded<string>(10_000);

    public ConcurrentQueue<(string Loop, string Subject, Exception Exception, TimeSpan? Pause)> Failures { get; } = new();

    /// <summary>The next failure has been told.</summary>
    public Task FailedAsync() => _told.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WithinLimitAsync();

    public void Failed(string loop, string subject, Exception exception, TimeSpan? pause)
    {
        Failures.Enqueue((loop, subject, exception, pause));
        _told.Writer.TryWrite(loop);
    }
}
