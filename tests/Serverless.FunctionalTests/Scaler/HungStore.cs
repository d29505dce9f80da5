using System.Runtime.CompilerServices;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Scaling.Plans;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>The stores of a scaler, which can hang: calls then never come back, not even when they are cancelled.</summary>
internal sealed class HungStore : IPlanFeed, IRequestQueue
{
    private static readonly Task Never = new TaskCompletionSource().Task;

    private readonly MemoryPlanFeed _plans = new();
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public bool Hangs { get; set; }

    /// <summary>What the broker holds of every model; null: it is away.</summary>
    public long? Waiting { get; set; } = 0;

    /// <summary>Completes when a call was made that hangs.</summary>
    public Task Asked => _asked.Task;

    public async ValueTask<bool> WriteAsync(long epoch, DateTimeOffset at, IReadOnlyCollection<SharedPlan> plans, CancellationToken cancellationToken)
    {
        await HangAsync();
        return await _plans.WriteAsync(epoch, at, plans, cancellationToken);
    }

    public async ValueTask<PlanUpdate?> ReadAsync(CancellationToken cancellationToken)
    {
        await HangAsync();
        return await _plans.ReadAsync(cancellationToken);
    }

    public async IAsyncEnumerable<PlanUpdate> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // As a subscription that hears nothing: what is taken is the test's.
        await Never.WaitAsync(cancellationToken);
        yield break;
    }

    public async ValueTask<QueueDepth> DepthAsync(ModelName model, CancellationToken cancellationToken)
    {
        await HangAsync();
        return Waiting is { } requests ? new QueueDepth(requests, 0, 0, 0) : throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The broker is away."));
    }

    public ValueTask<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public IAsyncEnumerable<IRequestDelivery> ConsumeAsync(ModelName model, CancellationToken cancellationToken) => throw new NotSupportedException();

    public IAsyncEnumerable<ModelName> WatchArrivalsAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    private async Task HangAsync()
    {
        if (!Hangs) return;
        _asked.TrySetResult();
        await Never;
    }
}
