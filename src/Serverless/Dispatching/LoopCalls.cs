using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Dispatching;

/// <summary>
/// Calls that a dispatcher makes without waiting for them: their answers come back through its inbox as inputs with a name, and are handled in its loop like everything else.
/// What completes at once, as in the embedded shape, is handled at once.
/// </summary>
internal sealed class LoopCalls(ModelName model, IDispatchObserver observer, ChannelWriter<DispatchInput> inbox, Action<DispatchInput> handle, CancellationToken stop)
{
    private readonly Lock _lock = new();
    private readonly HashSet<Task> _running = [];

    /// <summary>Whether nothing is under way.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_lock) return _running.Count == 0;
        }
    }

    /// <summary>Asks a store. Exactly one answer is handled, in the loop, unless the dispatcher stops: what it answers, or <paramref name="unanswered"/> whatever the call failed with.</summary>
    public void Ask<T>(Func<CancellationToken, ValueTask<T>> call, Func<T, DispatchInput.Answer> answered, DispatchInput.Answer unanswered)
    {
        ValueTask<T> asked;
        try
        {
            asked = call(stop);
        }
        catch (Exception exception)
        {
            if (!stop.IsCancellationRequested) handle(Unanswered(unanswered, exception));
            return;
        }

        if (asked.IsCompletedSuccessfully) handle(answered(asked.GetAwaiter().GetResult()));
        else Track(AwaitAsync(asked, answered, unanswered));
    }

    /// <summary>Does something that nobody in the loop waits for, and that does not fail but by being stopped.</summary>
    public void Run(Func<CancellationToken, Task> work)
    {
        var task = work(stop);
        if (!task.IsCompletedSuccessfully) Track(AwaitAsync(task));
    }

    /// <summary>Waits for all that is under way; the dispatcher has been stopped before.</summary>
    public Task DrainAsync()
    {
        lock (_lock) return Task.WhenAll(_running);
    }

    private DispatchInput.Answer Unanswered(DispatchInput.Answer unanswered, Exception exception)
    {
        if (exception is ServingException away && StoreGate.IsAway(away)) return unanswered with { IsStoreAway = true };

        observer.SourceFailed(model, "store", exception);
        return unanswered;
    }

    private async Task AwaitAsync<T>(ValueTask<T> asked, Func<T, DispatchInput.Answer> answered, DispatchInput.Answer unanswered)
    {
        DispatchInput input;
        try
        {
            input = answered(await asked);
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
            return;
        }
        catch (Exception exception)
        {
            input = Unanswered(unanswered, exception);
        }

        await PostAsync(input);
    }

    private async Task AwaitAsync(Task work)
    {
        try
        {
            await work;
        }
        catch (Exception) when (stop.IsCancellationRequested)
        {
        }
        catch (Exception exception)
        {
            await PostAsync(new DispatchInput.Faulted(exception));
        }
    }

    private async Task PostAsync(DispatchInput input)
    {
        try
        {
            await inbox.WriteAsync(input, stop);
        }
        catch (OperationCanceledException)
        {
        }
    }

    private void Track(Task task)
    {
        lock (_lock) _running.Add(task);
        _ = task.ContinueWith(
            done =>
            {
                lock (_lock) _running.Remove(done);
            },
            CancellationToken.None,
            TaskContinuationOptions.None,
            TaskScheduler.Default);
    }
}

/// <summary>Whether the log's store answers. While it does not, nothing new begins and what runs goes on; after each pause it is tried again. Not thread-safe.</summary>
internal sealed class StoreGate(ModelName model, IDispatchObserver observer, TimeProvider time)
{
    /// <summary>How long what did not succeed is left alone.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private long _closedAt;
    private bool _away;

    public bool IsOpen => !_away || time.GetElapsedTime(_closedAt) >= Pause; // not by the clock on the wall, which may be set back

    /// <summary>Whether that is what a store says, or is said of it, that cannot be reached.</summary>
    public static bool IsAway(ServingException exception) => exception.Fault.Error == ServingError.StoreUnavailable;

    /// <summary>A call was answered, or did not reach it.</summary>
    public void Note(DispatchInput.Answer answer)
    {
        if (answer.IsStoreAway) Close();
        else Open();
    }

    private void Close()
    {
        _closedAt = time.GetTimestamp();
        if (_away) return;

        _away = true;
        observer.StoreLost(model);
    }

    private void Open()
    {
        if (!_away || !IsOpen) return; // an answer from before the loss may come after it

        _away = false;
        observer.StoreBack(model);
    }
}
