using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Loops;
using Serverless.Requests;
using Serverless.Sessions;
using Serverless.Tests.Dispatching;
using Serverless.Worker.Sessions;

namespace Serverless.Tests.Worker;

/// <summary>A worker that vanishes when told: its session breaks and not a word of it comes any more.</summary>
internal sealed class KillableWorker : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly BreakingConnector _connector;
    private readonly Task _running;
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public KillableWorker(DispatcherScene scene, IEngine engine, string name)
    {
        _connector = new BreakingConnector(scene.Sessions);
        var metrics = new WorkerMetrics(_services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>());
        var runner = new AttemptRunner(name, engine, () => { }, LogLimits.MaxOutputBytes, TimeProvider.System, NullLogger<AttemptRunner>.Instance);
        var description = new WorkerDescription
        {
            Worker = name, Pool = new PoolName("tiny-cpu"), Model = TestRequests.Model, Engine = "in-process", KvCapacityTokens = engine.KvCapacityTokens, Slots = engine.Slots,
        };
        _running = new WorkerLoop(description, engine, new RunningAttempts(runner, scene.Log, metrics, TimeProvider.System, _stop.Token), _connector, NoLoopObserver.Instance, TimeProvider.System).RunAsync(_stop.Token, _stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _connector.BreakAsync();
        await _stop.CancelAsync();
        await _running.WithinLimitAsync();
        _stop.Dispose();
        await _services.DisposeAsync();
    }

    /// <summary>Its connection breaks; the worker itself goes on.</summary>
    public ValueTask BreakAsync() => _connector.BreakAsync();

    private sealed class BreakingConnector(IDispatcherConnector inner) : IDispatcherConnector
    {
        private IDispatcherLink? _link;

        public async ValueTask<IDispatcherLink> ConnectAsync(WorkerDescription worker, CancellationToken cancellationToken) => _link = await inner.ConnectAsync(worker, cancellationToken);

        public ValueTask BreakAsync() => _link?.DisposeAsync() ?? ValueTask.CompletedTask;
    }
}
