using System.Collections.Concurrent;
using System.Threading.Channels;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Worker.Sessions;

/// <summary>What a worker runs. It lives on while dispatchers come and go: each is told what runs when the worker registers, and of the ends from then on. Thread-safe.</summary>
internal sealed class RunningAttempts(AttemptRunner runner, IRequestLog log, WorkerMetrics metrics, TimeProvider time, CancellationToken stop)
{
    private const int MaxUntold = 4096;

    /// <summary>How long an engine may go on with what it was told to stop: then it is taken for hung.</summary>
    public static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(10);

    /// <summary>Of what is known of ended requests, with each that ends: some fifty of them count.</summary>
    private const double Kept = 0.98;

    private readonly ConcurrentDictionary<RequestId, RunningAttempt> _running = new();

    /// <summary>Those that run, and those whose end is about to be told.</summary>
    private readonly ConcurrentDictionary<RunningAttempt, bool> _untold = new();

    // An end that nobody is there to hear is in the log as well: the oldest may go.
    private readonly Channel<WorkerMessage> _news = Channel.CreateBounded<WorkerMessage>(new BoundedChannelOptions(MaxUntold) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    private readonly TaskCompletionSource _hung = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private (double Prompt, double Cached) _ended;

    public bool IsEmpty => _untold.IsEmpty;

    /// <summary>Completes when the engine has ignored a stop for too long; what ran on it is told to be lost, and nothing is begun any more.</summary>
    public Task Hung => _hung.Task;

    /// <summary>What the dispatcher is to be told: ends, and questions. Read by one session at a time.</summary>
    public ChannelReader<WorkerMessage> News => _news.Reader;

    /// <summary>What runs now, for whoever takes over.</summary>
    public IReadOnlyList<AttemptClaim> Held() => [.. _running.Select(entry => new AttemptClaim(entry.Key, entry.Value.Number, entry.Value.Log.LastSequence) { StoreRun = entry.Value.Log.StoreRun })];

    /// <summary>The engine's load with what only its attempts know.</summary>
    public WorkerLoad With(WorkerLoad load)
    {
        lock (_lock)
        {
            return load with
            {
                WaitingPromptTokens = _running.Values.Sum(attempt => attempt.Log.HasOutput ? 0 : (long)attempt.Assignment.Request.PromptTokens),
                CachedPromptShare = _ended.Prompt > 0 ? Math.Round(_ended.Cached / _ended.Prompt, 2) : null,
            };
        }
    }

    public void Handle(DispatcherMessage message)
    {
        switch (message)
        {
            case DispatcherMessage.Assign assign:
                Start(assign.Assignment);
                break;
            case DispatcherMessage.Unreadable unreadable:
                _news.Writer.TryWrite(new WorkerMessage.AttemptEnded(unreadable.Id, AttemptOutcome.NotUnderstood, 0) { Attempt = unreadable.Attempt });
                break;
            case DispatcherMessage.Cancel cancel:
                if (_running.TryGetValue(cancel.Id, out var cancelled)) cancelled.Stop(AttemptOutcome.Ended);
                break;
            case DispatcherMessage.Preempt preempt:
                if (_running.TryGetValue(preempt.Id, out var preempted)) preempted.Stop(AttemptOutcome.Returned);
                break;
            case DispatcherMessage.Refence refence:
                if (_running.TryGetValue(refence.Id, out var adopted)) adopted.Log.Refence(refence);
                break;
        }
    }

    /// <summary>Completes when nothing runs and every end is ready to be told.</summary>
    public async Task IdleAsync()
    {
        while (!_untold.IsEmpty) await Task.WhenAll(_untold.Keys.Select(attempt => attempt.Task));
    }

    /// <summary>A newer attempt of a request that runs here takes its place: the log has fenced the old one off.</summary>
    private void Start(Assignment assignment)
    {
        var id = assignment.Request.Id;
        _running.TryGetValue(id, out var before);
        if (before is not null && before.Number >= assignment.Fence.Attempt) return;

        before?.Stop(AttemptOutcome.Fenced);
        var attempt = new RunningAttempt(assignment, CancellationTokenSource.CreateLinkedTokenSource(stop)) { Log = new AttemptLog(log, assignment, AskAsync, time) };
        _running[id] = attempt;
        _untold[attempt] = true;
        attempt.Task = WatchAsync(attempt, before?.Task ?? Task.CompletedTask);

        ValueTask AskAsync(CancellationToken cancellationToken) => _news.Writer.WriteAsync(new WorkerMessage.StoreChanged(id, assignment.Fence.Attempt), cancellationToken);
    }

    /// <summary>Both sides fade apart: the share of tokens, not the mean of shares.</summary>
    private void Learn(TokenUsage usage)
    {
        lock (_lock) _ended = ((_ended.Prompt * Kept) + usage.PromptTokens, (_ended.Cached * Kept) + Math.Clamp(usage.CachedTokens, 0, usage.PromptTokens));
    }

    /// <summary>Runs an attempt, and gives it up where its engine goes on with it though it was told to stop.</summary>
    private async Task WatchAsync(RunningAttempt attempt, Task before)
    {
        await before;
        if (_hung.Task.IsCompleted)
        {
            await TellAsync(attempt, AttemptOutcome.Returned);
            return;
        }

        var running = Task.Run(() => RunAsync(attempt), CancellationToken.None); // an engine that blocks its caller blocks nobody else
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (attempt.Token.Register(() => stopped.TrySetResult())) await Task.WhenAny(running, stopped.Task, _hung.Task);
        if (!running.IsCompleted)
        {
            using var limit = new CancellationTokenSource();
            await Task.WhenAny(running, _hung.Task, Task.Delay(StopLimit, time, limit.Token));
            await limit.CancelAsync();
        }

        if (running.IsCompleted)
        {
            await TellAsync(attempt, await running);
            attempt.Dispose();
            return;
        }

        _hung.TrySetResult();
        attempt.Stop(AttemptOutcome.Lost); // its fence is all that keeps it from the log from now on
        await TellAsync(attempt, AttemptOutcome.Lost);
    }

    private async Task<AttemptOutcome> RunAsync(RunningAttempt attempt)
    {
        var outcome = await runner.RunAsync(attempt);
        if (attempt.Log.IsWriting) attempt.Stop(outcome); // what is under way ends with it
        await attempt.Log.SettleAsync();
        return outcome;
    }

    private async Task TellAsync(RunningAttempt attempt, AttemptOutcome outcome)
    {
        var request = attempt.Assignment.Request;
        var how = outcome == AttemptOutcome.Ended ? attempt.Log.How : null;
        if (attempt.Log.Usage is { } usage)
        {
            Learn(usage);
            metrics.PromptRead(request.Model, usage);
        }

        metrics.AttemptLeft(request.Model, outcome);
        // In this order: whoever is told that it runs is told of its end afterwards, by the same session.
        _running.TryRemove(KeyValuePair.Create(request.Id, attempt));
        await _news.Writer.WriteAsync(new WorkerMessage.AttemptEnded(request.Id, outcome, attempt.Log.OutputTokens) { Attempt = attempt.Number, How = how, CachedTokens = attempt.Log.Usage?.CachedTokens ?? 0 }, CancellationToken.None);
        _untold.TryRemove(attempt, out _);
    }
}
