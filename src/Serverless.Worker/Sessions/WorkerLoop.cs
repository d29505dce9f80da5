using Serverless.Engines;
using Serverless.Loops;
using Serverless.Sessions;

namespace Serverless.Worker.Sessions;

/// <summary>
/// One replica at work: it registers with the dispatcher of its model, takes assignments, and reports loads and ends, until it is drained. A dispatcher that is lost stops
/// nothing: what runs goes on into its log, and the next dispatcher is told of it. Nor does a session that fails, whatever its error: the loop tells it and finds the next.
/// </summary>
internal sealed class WorkerLoop(WorkerDescription worker, IEngine engine, RunningAttempts attempts, IDispatcherConnector connector, ILoopObserver loops, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a dispatcher may take to answer a drain before the worker leaves without its answer.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    /// <summary>How long a stopped worker tries to tell what it gives back.</summary>
    private static readonly TimeSpan FarewellLimit = TimeSpan.FromSeconds(1);

    private long _highestEpoch;

    /// <summary>Works until <paramref name="drain"/> is cancelled or the engine is lost or hung, and what runs has ended; or until <paramref name="stop"/> is cancelled, which also stops what runs.</summary>
    public async Task RunAsync(CancellationToken drain, CancellationToken stop)
    {
        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var draining = drain.Register(() => drained.TrySetResult());
        using var stopping = stop.Register(() => drained.TrySetResult());
        var leaving = Task.WhenAny(drained.Task, engine.Lost, attempts.Hung);
        var backoff = new Backoff(FirstPause, LongestPause);
        while (!stop.IsCancellationRequested && !(leaving.IsCompleted && attempts.IsEmpty))
        {
            try
            {
                if (await ConnectAsync(leaving, stop) is not { } link) continue;
                await using (link) await ServeAsync(link, leaving, stop);
                backoff.Reset();
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                var pause = backoff.Next();
                loops.Failed("worker-session", worker.Worker, exception, pause);
                await Task.WhenAny(leaving.IsCompleted ? attempts.IdleAsync() : leaving, Task.Delay(pause, time, stop));
            }
            catch (Exception)
            {
                break; // it was stopped
            }
        }

        await attempts.IdleAsync();
    }

    /// <summary>Null when the replica is done before there is a dispatcher.</summary>
    private async Task<IDispatcherLink?> ConnectAsync(Task leaving, CancellationToken stop)
    {
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var connecting = connector.ConnectAsync(worker with { Running = attempts.Held(), HighestEpoch = _highestEpoch }, giveUp.Token).AsTask();
        if (await Task.WhenAny(connecting, DoneAsync()) != connecting) await giveUp.CancelAsync();
        try
        {
            var link = await connecting;
            _highestEpoch = Math.Max(_highestEpoch, link.Epoch);
            return link;
        }
        catch (OperationCanceledException) when (giveUp.IsCancellationRequested)
        {
            return null;
        }

        async Task DoneAsync()
        {
            await leaving;
            await attempts.IdleAsync();
        }
    }

    /// <summary>
    /// One session with one dispatcher. Leaving takes two steps: the worker says that it drains, the dispatcher answers, and what was assigned before the answer is run to
    /// its end. A session that ends, or a dispatcher that leaves, makes the worker look for the next.
    /// </summary>
    private async Task ServeAsync(IDispatcherLink link, Task leaving, CancellationToken stop)
    {
        using var ended = new CancellationTokenSource();
        using var parting = CancellationTokenSource.CreateLinkedTokenSource(ended.Token);
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var reading = ReadAsync(link, released, ended.Token);
        var telling = TellAsync(link, parting.Token, ended.Token);
        var reporting = ReportAsync(link, ended.Token);

        await Task.WhenAny(leaving, released.Task, reading, reporting);
        if (leaving.IsCompleted && !reading.IsCompleted) await LeaveAsync(link, released.Task, reading, TellRestAsync, stop);

        await ended.CancelAsync();
        await Task.WhenAll(reading, telling, reporting);

        async Task TellRestAsync()
        {
            await parting.CancelAsync();
            await telling;
        }
    }

    private async Task LeaveAsync(IDispatcherLink link, Task released, Task reading, Func<Task> tellRestAsync, CancellationToken stop)
    {
        if (!stop.IsCancellationRequested && await link.SendAsync(new WorkerMessage.Draining(), CancellationToken.None))
        {
            using var answered = CancellationTokenSource.CreateLinkedTokenSource(stop);
            await Task.WhenAny(released, reading, Task.Delay(AnswerLimit, time, answered.Token));
            await answered.CancelAsync();
        }

        await Task.WhenAny(attempts.IdleAsync(), reading);

        // What is still to be told goes out before the session ends.
        using var told = new CancellationTokenSource();
        await Task.WhenAny(tellRestAsync(), reading, Task.Delay(FarewellLimit, time, told.Token));
        await told.CancelAsync();
        await link.DisposeAsync(); // while it is still read: so it ends in good order
    }

    private async Task ReadAsync(IDispatcherLink link, TaskCompletionSource released, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var message in link.ReadAsync(cancellationToken))
            {
                if (message is DispatcherMessage.Drain) released.TrySetResult();
                else attempts.Handle(message);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    /// <summary>Tells what there is to tell as it comes; once the session parts, only what there is already.</summary>
    private async Task TellAsync(IDispatcherLink link, CancellationToken parting, CancellationToken cancellationToken)
    {
        try
        {
            do
            {
                while (attempts.News.TryRead(out var news))
                {
                    if (!await link.SendAsync(news, cancellationToken)) return;
                }
            }
            while (await attempts.News.WaitToReadAsync(parting));
        }
        catch (OperationCanceledException) when (parting.IsCancellationRequested)
        {
        }
    }

    private async Task ReportAsync(IDispatcherLink link, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(ReportInterval, time);
        var sent = WorkerLoad.Idle;
        try
        {
            do
            {
                var load = attempts.With(engine.Load);
                if (load == sent) continue;
                if (!await link.SendAsync(new WorkerMessage.Report(load), cancellationToken)) return;
                sent = load;
            }
            while (await timer.WaitForNextTickAsync(cancellationToken));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }
}
