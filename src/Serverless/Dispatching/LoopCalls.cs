using System.Threading.Channels;
using Serverless.Errors;

namespace Serverless.Dispatching;

/// <summary>
/// Calls that a dispatcher makes without waiting for them: their answers come back through its inbox, and are handled in its loop like everything else.
/// What completes at once, as in the embedded shape, is handled at once.
/// </summary>
internal sealed class LoopCalls(ChannelWriter<DispatchInput> inbox, StoreGate gate, CancellationToken stop)
{
    private readonly Lock _lock = new();
    private readonly HashSet<Task> _running = [];

    /// <summary>Asks the log. Exactly one of the two goes on, in the loop, unless the dispatcher stops or the call fails otherwise.</summary>
    public void Ask<T>(Func<CancellationToken, ValueTask<T>> call, Action<T> answered, Action unavailable)
    {
        ValueTask<T> asked;
        try
        {
            asked = call(stop);
        }
        catch (ServingException exception) when (IsUnavailable(exception))
        {
            gate.Close();
            unavailable();
            return;
        }

        if (asked.IsCompletedSuccessfully)
        {
            gate.Answered();
            answered(asked.GetAwaiter().GetResult());
            return;
        }

        Track(AwaitAsync(asked, answered, unavailable));
    }

    /// <summary>Does something that nobody in the loop waits for; if it fails, so does the dispatcher.</summary>
    public void Run(Func<CancellationToken, ValueTask> work)
    {
        var task = work(stop);
        if (!task.IsCompletedSuccessfully) Track(AwaitAsync(task));
    }

    /// <summary>Waits for all that is under way; the dispatcher has been stopped before.</summary>
    public Task DrainAsync()
    {
        lock (_lock) return Task.WhenAll(_running);
    }

    public static bool IsUnavailable(ServingException exception) => exception.Fault.Error == ServingError.StoreUnavailable;

    private async Task AwaitAsync<T>(ValueTask<T> asked, Action<T> answered, Action unavailable)
    {
        DispatchInput input;
        try
        {
            var answer = await asked;
            input = new DispatchInput.Answered(() =>
            {
                gate.Answered();
                answered(answer);
            });
        }
        catch (ServingException exception) when (IsUnavailable(exception))
        {
            input = new DispatchInput.Answered(() =>
            {
                gate.Close();
                unavailable();
            });
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
        catch (Exception exception)
        {
            input = new DispatchInput.Faulted(exception);
        }

        await PostAsync(input);
    }

    private async Task AwaitAsync(ValueTask work)
    {
        try
        {
            await work;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
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
