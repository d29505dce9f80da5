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
        var pair = new ScalerPair();
        var world = new ScalerWorld(pools);
        await pair.BeginAsync(world.Demand, await ServedScaler.StartAsync(world), await ServedScaler.StartAsync(world));
        return pair;
    }

    /// <summary>Processes of their own, over Redis.</summary>
    public static async Task<ScalerPair> ProcessesAsync(CancellationToken cancellationToken, params KedaPool[] pools)
    {
        var pair = new ScalerPair();
        try
        {
            var redis = pair.Own(await RedisServer.StartNewAsync(cancellationToken));
            var parts = pair.Own(await RedisParts.OpenAsync(redis, cancellationToken));
            await PublishAsync(parts, pools, cancellationToken);
            var scalers = await Task.WhenAll(ScalerProcess.StartAsync(redis, cancellationToken), ScalerProcess.StartAsync(redis, cancellationToken));
            await pair.BeginAsync(await parts.DemandAsync(cancellationToken), [.. scalers]);
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

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

    private T Own<T>(T owned)
        where T : IAsyncDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    private Task BeginAsync(IDemandFeed demand, params IScalerUnderTest[] scalers)
    {
        foreach (var scaler in scalers) Own(scaler);
        _demand = demand;
        Balancer = new Balancer(scalers);
        _telling = TellAsync();
        return Task.CompletedTask;
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
