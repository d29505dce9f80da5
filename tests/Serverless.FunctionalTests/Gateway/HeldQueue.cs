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

    public ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        if (Refusal is { } refusal) return new(refusal);
        _requests.Writer.TryWrite(request).ShouldBeTrue();
        return new(EnqueueResult.Enqueued);
    }

    public IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken) => new(default(QueueDepth));
}
