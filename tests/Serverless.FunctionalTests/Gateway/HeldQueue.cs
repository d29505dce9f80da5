using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A queue whose other end is the test: it takes each request out and answers it when it likes.</summary>
internal sealed class HeldQueue : IRequestQueue
{
    private readonly Channel<InferenceRequest> _requests = Channel.CreateBounded<InferenceRequest>(10_000);

    /// <summary>What the next enqueue answers instead of taking the request; null takes it.</summary>
    public EnqueueResult? Refusal { get; set; }

    public ChannelReader<InferenceRequest> Requests => _requests.Reader;

    /// <summary>Runs before each enqueue.</summary>
    public Func<InferenceRequest, Task> Before { get; set; } = _ => Task.CompletedTask;

    public async ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        await Before(request);
        if (Refusal is { } refusal) return refusal;
        _requests.Writer.TryWrite(request).ShouldBeTrue();
        return EnqueueResult.Enqueued;
    }

    public IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, CancellationToken cancellationToken) => throw new NotSupportedException();

    public IAsyncEnumerable<ModelName> WatchArrivalsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken) => new(default(QueueDepth));
}
