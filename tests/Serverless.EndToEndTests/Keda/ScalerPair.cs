using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Demand;
using Serverless.EndToEndTests.Parts;
using Serverless.EndToEndTests.Redis;
using Serverless.Hosting.Redis.Catalog;
using Serverless.Hosting.Redis.Connection;

namespace Serverless.EndToEndTests.Keda;

/// <summary>Two scalers behind one address, with a demand that is told once a second as a dispatcher does.</summary>
internal sealed class ScalerPair : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _owned = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<KedaPool, (int Pending, int Running)> _work = [];
    private IDemandFeed? _demand;
    private Task _telling = Task.CompletedTask;

    public Balancer Balancer { get; private set; } = null!;

    /// <summary>In this process, over memory.</summary>
    public static async Task<ScalerPair> ServedAsync(params KedaPool[] pools)
    {
        var world = new ScalerWorld(pools);
        return await StartAsync(async pair => pair.Begin(world.Demand, await pair.OwnAsync(ServedScaler.StartAsync(world)), await pair.OwnAsync(ServedScaler.StartAsync(world))));
    }

    /// <summary>Processes of their own, over Redis.</summary>
    public static Task<ScalerPair> ProcessesAsync(CancellationToken cancellationToken, params KedaPool[] pools) => StartAsync(async pair =>
    {
        var redis = await pair.OwnAsync(RedisServer.StartNewAsync(cancellationToken));
        var parts = await pair.OwnAsync(RedisParts.OpenAsync(redis, cancellationToken));
        await PublishAsync(parts, pools, cancellationToken);
        var scalers = await Task.WhenAll(pair.OwnAsync(ScalerProcess.StartAsync(redis, cancellationToken)), pair.OwnAsync(ScalerProcess.StartAsync(redis, cancellationToken)));
        pair.Begin(await parts.DemandAsync(cancellationToken), [.. scalers]);
    });

    /// <summary>What waits for a pool and what runs on it, from now on.</summary>
    public void Work(KedaPool pool, int pending = 0, int running = 0)
    {
        lock (_lock) _work[pool] = (pending, running);
        _demand!.Publish(pool.Demand(pending, running));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _telling;
        if (Balancer is not null) await Balancer.DisposeAsync();
        foreach (var owned in Enumerable.Reverse(_owned)) await owned.DisposeAsync();
        _stop.Dispose();
    }

    private static async Task PublishAsync(RedisParts parts, KedaPool[] pools, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("serverless-keda-manifests-");
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "all.yaml"), string.Join("\n---\n", pools.Select(pool => pool.Manifest)), cancellationToken);
        using var publisher = new RedisCatalogPublisher(parts.Connection, folder.FullName, TestEngines.Table, new NoModels(), parts.Loops, TimeProvider.System, NullLogger<RedisCatalogPublisher>.Instance);
        await ((IRedisPart)publisher).StartAsync(cancellationToken);
        folder.Delete(recursive: true);
    }

    /// <summary>What it has when a part of it fails to start goes with it.</summary>
    private static async Task<ScalerPair> StartAsync(Func<ScalerPair, Task> start)
    {
        var pair = new ScalerPair();
        try
        {
            await start(pair);
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

    private async Task<T> OwnAsync<T>(Task<T> starting)
        where T : IAsyncDisposable
    {
        var owned = await starting;
        lock (_lock) _owned.Add(owned);
        return owned;
    }

    private void Begin(IDemandFeed demand, params IScalerUnderTest[] scalers)
    {
        _demand = demand;
        Balancer = new Balancer(scalers);
        _telling = TellAsync();
    }

    private async Task TellAsync()
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                lock (_lock)
                {
                    foreach (var (pool, (pending, running)) in _work) _demand!.Publish(pool.Demand(pending, running));
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }
}
