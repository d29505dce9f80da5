using System.Collections.Concurrent;
using Serverless.Dispatching;
using Serverless.Requests;

namespace Serverless.Tests.Dispatching;

/// <summary>Keeps promises when the test lets it, and remembers which.</summary>
internal sealed class RecordingPromises : IPromiseKeeper
{
    public ConcurrentQueue<RequestId> Kept { get; } = new();

    /// <summary>What a keep waits for.</summary>
    public Func<CancellationToken, Task> Before { get; set; } = _ => Task.CompletedTask;

    public async Task<bool> KeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        await Before(cancellationToken);
        Kept.Enqueue(request.Id);
        return true;
    }
}
