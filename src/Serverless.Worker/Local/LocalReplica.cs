using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Sessions;
using Serverless.Worker.Engines;
using Serverless.Worker.Sessions;

namespace Serverless.Worker.Local;

/// <summary>One replica of a pool in this process, from asked for to gone.</summary>
internal sealed partial class LocalReplica(
    string name, Pool pool, EngineCatalog engines, IDispatcherConnector connector, IRequestLog log, WorkerMetrics metrics, TimeProvider time, ILoggerFactory loggers, Action changed) : IDisposable
{
    private static readonly TimeSpan MaxRetry = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _drain = new();
    private readonly ILogger<LocalReplica> _logger = loggers.CreateLogger<LocalReplica>();

    public DateTimeOffset Since { get; } = time.GetUtcNow();

    public ReplicaPhase Phase { get; private set; }

    public double Progress { get; private set; }

    public string? Failure { get; private set; }

    public TimeSpan? ColdStart { get; private set; }

    /// <summary>Lets it finish what runs and go; a loading one stops loading.</summary>
    public void Drain()
    {
        Phase = ReplicaPhase.Draining;
        _drain.Cancel();
    }

    public void Dispose() => _drain.Dispose();

    public async Task RunAsync(CancellationToken stop)
    {
        using var wanted = CancellationTokenSource.CreateLinkedTokenSource(_drain.Token, stop);
        try
        {
            while (!wanted.IsCancellationRequested) await ServeAsync(await LoadAsync(wanted.Token), stop);
        }
        catch (OperationCanceledException) when (wanted.IsCancellationRequested)
        {
        }
    }

    /// <summary>Serves with one engine until the replica is drained or the engine is lost.</summary>
    private async Task ServeAsync(IEngine engine, CancellationToken stop)
    {
        await using var loaded = engine;
        var worker = Describe(engine.Name) with { KvCapacityTokens = engine.KvCapacityTokens, Slots = engine.Slots };
        var runner = new AttemptRunner(name, engine, FirstToken, time, loggers.CreateLogger<AttemptRunner>());
        if (ColdStart is null)
        {
            ColdStart = time.GetUtcNow() - Since;
            metrics.Ready(pool.Model.Name, ColdStart.Value);
        }

        Enter(ReplicaPhase.Ready);
        await new WorkerLoop(worker, engine, new RunningAttempts(runner, log, metrics, time, stop), connector, time).RunAsync(_drain.Token, stop);
        if (!engine.Lost.IsCompleted) return;

        EngineLost(name);
        Enter(ReplicaPhase.Loading);
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
        var announcing = new LoadingSession(Describe(pool.Model.Backend), () => Progress, connector, time).RunAsync(loaded.Token);
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
        for (var pause = TimeSpan.FromSeconds(1); ; pause = pause * 2 < MaxRetry ? pause * 2 : MaxRetry)
        {
            var started = time.GetTimestamp();
            try
            {
                var engine = await engines.LoadAsync(pool, new Report(this), cancellationToken);
                var took = time.GetElapsedTime(started);
                metrics.Loaded(pool.Model.Name, took);
                ReplicaLoaded(name, took);
                Failure = null;
                return engine;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                Failure = exception.Message;
                LoadFailed(name, exception.Message, pause);
                changed();
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    private WorkerDescription Describe(string engine) =>
        new() { Worker = name, Pool = pool.Name, Model = pool.Model.Name, Engine = engine, KvCapacityTokens = 0, Slots = 0, Since = Since };

    private void Changed() => changed();

    private void FirstToken() => metrics.FirstToken(pool.Model.Name, time.GetUtcNow() - Since);

    [LoggerMessage(Level = LogLevel.Information, Message = "Replica {Replica} is loaded after {Took}.")]
    private partial void ReplicaLoaded(string replica, TimeSpan took);

    [LoggerMessage(Level = LogLevel.Error, Message = "The engine of replica {Replica} failed; it is loaded again.")]
    private partial void EngineLost(string replica);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Replica {Replica} did not load: {Reason} It is tried again in {Pause}.")]
    private partial void LoadFailed(string replica, string reason, TimeSpan pause);

    private sealed class Report(LocalReplica replica) : IProgress<double>
    {
        void IProgress<double>.Report(double value)
        {
            replica.Progress = value;
            replica.Changed();
        }
    }
}
