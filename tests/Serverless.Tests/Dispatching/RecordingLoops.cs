using System.Collections.Concurrent;
using Serverless.Loops;

namespace Serverless.Tests.Dispatching;

/// <summary>What failed, in order.</summary>
internal sealed class RecordingLoops : ILoopObserver
{
    public ConcurrentQueue<(string Loop, string Subject, Exception Exception, TimeSpan? Pause)> Failures { get; } = new();

    public void Failed(string loop, string subject, Exception exception, TimeSpan? pause) => Failures.Enqueue((loop, subject, exception, pause));
}
