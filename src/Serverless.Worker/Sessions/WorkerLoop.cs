using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Worker.Engines;

namespace Serverless.Worker.Sessions;

/// <summary>(e) One replica at work: takes assignments from its dispatcher, runs them on its engine, and appends what comes to their logs, until it is drained.</summary>
internal sealed partial class WorkerLoop(
    WorkerDescription worker, IEngine engine, IDispatcherConnector connector, IRequestLog log, WorkerMetrics metrics, Action firstToken, TimeProvider time, ILogger<WorkerLoop> logger)
{
    private const int MaxBatchedEvents = 64;

    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a dispatcher may take to answer a drain before the worker leaves without its answer.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<RequestId, RunningAttempt> _running = new();
    private bool _sawToken;

    /// <summary>Works until <paramref name="drain"/> is cancelled and what runs has ended, until the engine is lost, or until <paramref name="stop"/> is cancelled.</summary>
    public async Task RunAsync(CancellationToken drain, CancellationToken stop)
    {
        while (!drain.IsCancellationRequested && !stop.IsCancellationRequested && !engine.Lost.IsCompleted)
        {
            await using var link = await connector.ConnectAsync(worker, stop);
            await ServeAsync(link, drain, stop);
        }
    }

    /// <summary>
    /// One session with one dispatcher. Leaving takes two steps: the worker says that it drains, the dispatcher answers, and what was assigned before the answer is run to
    /// its end. A dispatcher that leaves sends its drain unasked; then the next one is found.
    /// </summary>
    private async Task ServeAsync(IDispatcherLink link, CancellationToken drain, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var leaving = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var leave = drain.Register(leaving.SetResult);
        var reports = ReportAsync(link, ended.Token);
        var reading = ReadAsync(link, released, ended.Token);

        await Task.WhenAny(leaving.Task, released.Task, reading, engine.Lost);
        if (!released.Task.IsCompleted && !reading.IsCompleted)
        {
            await link.SendAsync(new WorkerMessage.Draining(), stop);
            await Task.WhenAny(released.Task, reading, Task.Delay(AnswerLimit, time, stop));
        }

        while (!_running.IsEmpty) await Task.WhenAll(_running.Values.Select(attempt => attempt.Task));
        await ended.CancelAsync();
        await Task.WhenAll(reports, reading);
    }

    private async Task ReadAsync(IDispatcherLink link, TaskCompletionSource released, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var message in link.ReadAsync(cancellationToken))
            {
                if (message is DispatcherMessage.Drain) released.TrySetResult();
                else Handle(link, message, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    private void Handle(IDispatcherLink link, DispatcherMessage message, CancellationToken stop)
    {
        switch (message)
        {
            case DispatcherMessage.Assign assign:
                var attempt = new RunningAttempt(CancellationTokenSource.CreateLinkedTokenSource(stop));
                if (_running.TryAdd(assign.Assignment.Request.Id, attempt)) attempt.Task = RunAsync(link, assign.Assignment, attempt);
                break;
            case DispatcherMessage.Cancel cancel:
                if (_running.TryGetValue(cancel.Id, out var cancelled)) cancelled.Stop(AttemptOutcome.Ended);
                break;
            case DispatcherMessage.Preempt preempt:
                if (_running.TryGetValue(preempt.Id, out var preempted)) preempted.Stop(AttemptOutcome.Returned);
                break;
        }
    }

    private async Task RunAsync(IDispatcherLink link, Assignment assignment, RunningAttempt attempt)
    {
        var events = new AttemptLog(log, assignment);
        var outcome = await TryAsync(assignment, events, attempt);
        _running.TryRemove(assignment.Request.Id, out _);
        attempt.Dispose();
        metrics.AttemptLeft(assignment.Request.Model, outcome.ToString());
        await link.SendAsync(new WorkerMessage.AttemptEnded(assignment.Request.Id, outcome, events.OutputTokens), CancellationToken.None);
    }

    /// <summary>Runs the attempt to whatever end; a log that cannot be written returns it, so that another attempt goes on from what is there.</summary>
    private async Task<AttemptOutcome> TryAsync(Assignment assignment, AttemptLog events, RunningAttempt attempt)
    {
        if (engine.Lost.IsCompleted) return AttemptOutcome.Returned;

        try
        {
            try
            {
                return await GenerateAsync(assignment, events, attempt);
            }
            catch (OperationCanceledException) when (attempt.Token.IsCancellationRequested)
            {
                return attempt.Outcome;
            }
            catch (ServingException exception)
            {
                return await FailAsync(events, exception.Fault);
            }
            catch (Exception exception) when (engine.Lost.IsCompleted && !events.Failed)
            {
                EngineLost(exception, assignment.Request.Id, worker.Worker);
                return AttemptOutcome.Lost;
            }
            catch (Exception exception) when (!events.Failed)
            {
                EngineFailed(exception, assignment.Request.Id, worker.Worker);
                return await FailAsync(events, new ServingFault(ServingError.EngineFailed, $"The engine of replica '{worker.Worker}' failed this request: {exception.Message} Try again."));
            }
        }
        catch (Exception exception)
        {
            LogFailed(exception, assignment.Request.Id, worker.Worker);
            return AttemptOutcome.Returned;
        }
    }

    /// <summary>Appends what is ready at once in one call, and waits only when nothing is.</summary>
    private async Task<AttemptOutcome> GenerateAsync(Assignment assignment, AttemptLog events, RunningAttempt attempt)
    {
        events.Add(new RequestEvent.Started(assignment.Fence.Attempt, worker.Worker, time.GetUtcNow()));
        await using var outputs = engine.GenerateAsync(assignment.Request, assignment.Output, attempt.Token).GetAsyncEnumerator(attempt.Token);
        while (true)
        {
            var next = outputs.MoveNextAsync();
            bool more;
            if (next.IsCompleted && events.Pending < MaxBatchedEvents)
            {
                more = await next;
            }
            else
            {
                var moving = next.AsTask();
                if (await FlushAsync(events, moving, attempt) is var status and not AppendStatus.Accepted) return Outcome(status);
                more = await moving;
            }

            if (!more) break;
            Add(events, outputs.Current);
        }

        return Outcome(await events.FlushAsync(attempt.Token));
    }

    /// <summary>Appends while the engine moves on. An engine whose output cannot be told must stop, and an enumerator must not be disposed while it moves.</summary>
    private static async ValueTask<AppendStatus> FlushAsync(AttemptLog events, Task moving, RunningAttempt attempt)
    {
        AppendStatus? status = null;
        try
        {
            status = await events.FlushAsync(attempt.Token);
            return status.Value;
        }
        finally
        {
            if (status != AppendStatus.Accepted)
            {
                attempt.Stop(AttemptOutcome.Ended);
                await moving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static AttemptOutcome Outcome(AppendStatus status) => status switch
    {
        AppendStatus.Accepted or AppendStatus.Ended => AttemptOutcome.Ended,
        AppendStatus.Fenced => AttemptOutcome.Fenced,
        _ => AttemptOutcome.Returned, // the log lost something: the next attempt begins from what it holds
    };

    private void Add(AttemptLog events, EngineOutput output)
    {
        if (output.Chunk is { } chunk)
        {
            events.Add(new RequestEvent.Chunk([chunk]));
            if (!_sawToken) firstToken();
            _sawToken = true;
        }

        if (output.Usage is { } usage) events.Add(new RequestEvent.Finished(usage));
    }

    private static async Task<AttemptOutcome> FailAsync(AttemptLog events, ServingFault fault)
    {
        events.Add(new RequestEvent.Failed(fault));
        return Outcome(await events.FlushAsync(CancellationToken.None));
    }

    private async Task ReportAsync(IDispatcherLink link, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(ReportInterval, time);
        var sent = WorkerLoad.Idle;
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                var load = engine.Load;
                if (load == sent) continue;
                await link.SendAsync(new WorkerMessage.Report(load), cancellationToken);
                sent = load;
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The log of request {Request} could not be written by replica {Replica}; another attempt goes on from what it holds.")]
    private partial void LogFailed(Exception exception, RequestId request, string replica);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Replica {Replica} lost its engine with request {Request}; another attempt goes on from what is logged.")]
    private partial void EngineLost(Exception exception, RequestId request, string replica);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Request} failed on replica {Replica}; its client is told.")]
    private partial void EngineFailed(Exception exception, RequestId request, string replica);
}
