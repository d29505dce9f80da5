using System.Globalization;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Loops;
using Serverless.Sessions;
using Serverless.Worker.Sessions;

namespace Serverless.Worker.Local;

/// <summary>
/// One replica of a pool in this process, from asked for to gone. It loads its engine, serves, and loads it again when it is lost. An engine that hangs (it goes on with what it was
/// told to stop) is abandoned, and the replica with it: whoever runs it begins another, or ends the process.
/// </summary>
internal sealed partial class LocalReplica(string name, Pool pool, ReplicaParts parts, Action changed) : IDisposable
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    /// <summary>After a loss: short, for others wait behind the request that may be the cause, until it is known for that.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(4);

    /// <summary>How long an engine that hangs may take to go.</summary>
    private static readonly TimeSpan FarewellLimit = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _drain = new();
    private HeldModel? _held;
    private readonly ILogger<LocalReplica> _logger = parts.Loggers.CreateLogger<LocalReplica>();

    public string Name => name;

    /// <summary>The pool as the catalogue had it when the replica was begun.</summary>
    public Pool Pool => pool;

    public DateTimeOffset Since { get; } = parts.Time.GetUtcNow();

    public ReplicaPhase Phase { get; private set; }

    public double Progress { get; private set; }

    /// <summary>Its model's files are pulled still; the progress is of their bytes.</summary>
    public bool IsPulling { get; private set; }

    public string? Failure { get; private set; }

    public TimeSpan? ColdStart { get; private set; }

    /// <summary>Lets it finish what runs and go; a loading one stops loading.</summary>
    public void Drain()
    {
        Phase = ReplicaPhase.Draining;
        _drain.Cancel();
    }

    public void Dispose()
    {
        _held?.Dispose();
        _drain.Dispose();
    }

    public async Task RunAsync(CancellationToken stop)
    {
        using var wanted = CancellationTokenSource.CreateLinkedTokenSource(_drain.Token, stop);
        try
        {
            var losses = new Backoff(FirstRetry, LongestPause);
            while (!wanted.IsCancellationRequested)
            {
                var since = parts.Time.GetTimestamp();
                await ServeAsync(await LoadAsync(wanted.Token), stop);
                if (!wanted.IsCancellationRequested) await PauseAsync(losses, parts.Time.GetElapsedTime(since), wanted.Token);
            }
        }
        catch (OperationCanceledException) when (wanted.IsCancellationRequested)
        {
        }
        finally
        {
            LetGo();
            ReplicaGone(name);
        }
    }

    /// <summary>An engine that was lost is loaded again at once; one that is lost again and again, after pauses that grow.</summary>
    private async Task PauseAsync(Backoff losses, TimeSpan served, CancellationToken cancellationToken)
    {
        if (served > LongestRetry) losses.Reset();
        var pause = losses.Next();
        if (losses.Failures == 1) return;

        Failure = string.Create(CultureInfo.InvariantCulture, $"Its engine was lost {losses.Failures} times in a row soon after it was loaded; the worker's log says why.");
        EngineLostAgain(name, losses.Failures, pause.TotalSeconds);
        changed();
        await Task.Delay(pause, parts.Time, cancellationToken);
    }

    /// <summary>Serves with one engine until the replica is drained or the engine is lost.</summary>
    /// <exception cref="EngineHungException">The engine hangs.</exception>
    private async Task ServeAsync(IEngine engine, CancellationToken stop)
    {
        var attempts = new RunningAttempts(
            new AttemptRunner(name, engine, FirstToken, parts.Options.Value.MaxOutputBytes, parts.Time, parts.Loggers.CreateLogger<AttemptRunner>()), parts.Log, parts.Metrics, parts.Time, stop);
        try
        {
            var worker = Describe(engine.Name) with { KvCapacityTokens = engine.KvCapacityTokens, Slots = engine.Slots, Endpoints = engine.Endpoints, Features = engine.Features };
            if (ColdStart is null)
            {
                ColdStart = parts.Time.GetUtcNow() - Since;
                parts.Metrics.Ready(pool.Model.Name, ColdStart.Value);
            }

            Enter(ReplicaPhase.Ready);
            await new WorkerLoop(worker, engine, attempts, parts.Connector, parts.Loops, parts.Time).RunAsync(_drain.Token, stop);
        }
        finally
        {
            await DisposeAsync(engine, attempts.Hung.IsCompleted);
        }

        if (attempts.Hung.IsCompleted) throw new EngineHungException(name, RunningAttempts.StopLimit);
        if (!engine.Lost.IsCompleted) return;

        EngineLost(name);
        Enter(ReplicaPhase.Loading);
    }

    private async Task DisposeAsync(IEngine engine, bool hangs)
    {
        var disposing = Task.Run(() => engine.DisposeAsync().AsTask(), CancellationToken.None);
        if (!hangs)
        {
            await disposing;
            return;
        }

        using var limit = new CancellationTokenSource();
        await Task.WhenAny(disposing, Task.Delay(FarewellLimit, parts.Time, limit.Token));
        await limit.CancelAsync();
    }

    private void Enter(ReplicaPhase phase)
    {
        if (Phase != ReplicaPhase.Draining) Phase = phase;
        changed();
    }

    /// <summary>Loads, and tries again with growing pauses as long as the replica is wanted.</summary>
    private async Task<IEngine> LoadAsync(CancellationToken cancellationToken)
    {
        using var loaded = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Progress = 0;
        var announcing = new LoadingSession(Describe(pool.Model.Backend), () => (Progress, IsPulling), parts.Connector, parts.Loops, parts.Time).RunAsync(loaded.Token);
        try
        {
            return await TryLoadAsync(cancellationToken);
        }
        finally
        {
            await loaded.CancelAsync();
            await announcing;
        }
    }

    private async Task<IEngine> TryLoadAsync(CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstRetry, LongestRetry);
        while (true)
        {
            try
            {
                var here = await PullAsync(cancellationToken);
                var started = parts.Time.GetTimestamp();
                var engine = await parts.Engines.LoadAsync(here, new Report(this), cancellationToken);
                var took = parts.Time.GetElapsedTime(started);
                parts.Metrics.Loaded(pool.Model.Name, took);
                ReplicaLoaded(name, took.TotalSeconds);
                Failure = null;
                return engine;
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested) // what an engine cancels of itself, such as a connection that takes too long, is a fault of it
            {
                LetGo(); // what cannot be loaded may make room
                var pause = backoff.Next();
                Failure = exception.Message;
                LoadFailed(name, exception.Message, pause.TotalSeconds);
                changed();
                await Task.Delay(pause, parts.Time, cancellationToken);
            }
        }
    }

    /// <summary>The pool with its model's files here. They are held until the replica has gone: an engine may read them as long as it runs, and again when it is lost.</summary>
    private async Task<Pool> PullAsync(CancellationToken cancellationToken)
    {
        if (!parts.Engines.Pulls(pool)) return pool;
        if (_held is { } held) return pool.At(held.Path);

        var started = parts.Time.GetTimestamp();
        (IsPulling, Progress) = (true, 0);
        try
        {
            _held = await parts.Models.HoldAsync(pool.Model.Source, new Report(this), cancellationToken);
        }
        finally
        {
            (IsPulling, Progress) = (false, 0);
        }

        var took = parts.Time.GetElapsedTime(started);
        parts.Metrics.Pulled(pool.Model.Name, took);
        ModelHere(name, pool.Model.Source.Shown, took.TotalSeconds);
        Changed();
        return pool.At(_held.Path);
    }

    private void LetGo()
    {
        _held?.Dispose();
        _held = null;
    }

    private WorkerDescription Describe(string engine) =>
        new() { Worker = name, Pool = pool.Name, Model = pool.Model.Name, Engine = engine, KvCapacityTokens = 0, Slots = 0, Since = Since };

    private void Changed() => changed();

    private void FirstToken() => parts.Metrics.FirstToken(pool.Model.Name, parts.Time.GetUtcNow() - Since);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Replica} is loaded after {Seconds:0.0} s")]
    private partial void ReplicaLoaded(string replica, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Replica} has the files of {Source} after {Seconds:0.0} s")]
    private partial void ModelHere(string replica, string source, double seconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Replica} is gone")]
    private partial void ReplicaGone(string replica);

    [LoggerMessage(Level = LogLevel.Error, Message = "The engine of {Replica} failed; it is loaded again.")]
    private partial void EngineLost(string replica);

    [LoggerMessage(Level = LogLevel.Error, Message = "The engine of {Replica} was lost {Times} times in a row soon after it was loaded; it is loaded again in {Seconds:0} s.")]
    private partial void EngineLostAgain(string replica, int times, double seconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Replica} did not load: {Reason} It is tried again in {Seconds:0} s.")]
    private partial void LoadFailed(string replica, string reason, double seconds);

    private sealed class Report(LocalReplica replica) : IProgress<double>
    {
        void IProgress<double>.Report(double value)
        {
            replica.Progress = value;
            replica.Changed();
        }
    }
}

/// <summary>An engine goes on with what it was told to stop: nothing can be begun on it, nor can it be put away.</summary>
internal sealed class EngineHungException(string replica, TimeSpan limit)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"The engine of replica '{replica}' did not stop within {limit.TotalSeconds:F0} s what it was told to stop; it is taken for hung and abandoned."));
