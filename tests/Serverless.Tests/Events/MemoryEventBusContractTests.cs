using Serverless.Events;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Events;

/// <summary>The contract within one process.</summary>
public sealed class MemoryEventBusContractTests : EventBusContract, IAsyncDisposable
{
    private readonly TestClock _time = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private MemoryEventBus? _bus;
    private Task _delivering = Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _delivering.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        _stop.Dispose();
    }

    protected override Task<IEventBus> StartAsync(IEventHandler handler)
    {
        _bus = new MemoryEventBus(_time);
        _delivering = _bus.DeliverAsync(EventTopics.Requests, handler, (_, _) => _failed.TrySetResult(), _stop.Token);
        return Task.FromResult<IEventBus>(_bus);
    }

    protected override async Task RetryAsync(Task next)
    {
        // The pause may not have begun when the handler has just answered, so time passes until the event is there.
        await _time.PassUntilAsync(next);
    }

    protected override Task<CloudEvent> DeadLetterAsync(string id) => Task.FromResult(_bus!.DeadLetters.Single(dead => dead.Id == id));
}
