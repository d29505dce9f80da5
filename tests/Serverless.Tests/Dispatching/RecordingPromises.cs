using System.Collections.Concurrent;
using Serverless.Requests;

namespace Serverless.Tests.Dispatching;

/// <summary>Is told of every end, keeps promises when the test lets it, and remembers which.</summary>
internal sealed class RecordingPromises : IEndObserver
{
    public ConcurrentQueue<RequestEnd> Ends { get; } = new();

    /// <summary>Of those that an id promised.</summary>
    public ConcurrentQueue<RequestId> Kept { get; } = new();

    /// <summary>What a keep waits for.</summary>
    public Func<CancellationToken, Task> Before { get; set; } = _ => Task.CompletedTask;

    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        if (end.Request.Promise == Promise.Id)
        {
            await Before(cancellationToken);
            Kept.Enqueue(end.Request.Id);
        }

        Ends.Enqueue(end);
        return true;
    }
}
