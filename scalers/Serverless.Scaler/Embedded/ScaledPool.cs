using Grpc.Core;
using Serverless.Catalog;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Embedded;

/// <summary>
/// One pool under KEDA's rules: 0 → 1 on the push; 1 ↔ N by the HPA's AverageValue arithmetic without tolerance; N → 0 when it was not active for the cooldown.
/// A call that fails changes nothing. The target is told at every sync what there shall be: a replica that ended by itself is started again.
/// </summary>
internal sealed class ScaledPool(Pool pool, ExternalScaler.ExternalScalerBase scaler, IScaleTarget target, LocalScalerOptions options, TimeProvider time) : IDisposable
{
    private readonly ScaledObjectRef _reference = new() { Name = pool.Name.Value, Namespace = "local" };
    private Pool _pool = pool;
    private readonly SemaphoreSlim _scaling = new(1, 1);
    private DateTimeOffset _lastActive = time.GetUtcNow();

    /// <summary>Replicas asked for now.</summary>
    public int Replicas { get; private set; }

    /// <summary>The pool as the catalogue has it now.</summary>
    public Pool Pool
    {
        get => Volatile.Read(ref _pool);
        set => Volatile.Write(ref _pool, value);
    }

    private ScalingConfig Bounds => Pool.Model.Scaling;

    public void Dispose() => _scaling.Dispose();

    /// <summary>Listens to the push until stopped, or until the scaler ends the stream.</summary>
    public Task ListenAsync(CancellationToken stoppingToken) => scaler.StreamIsActive(
        _reference,
        new LocalStream<IsActiveResponse>((state, token) => state.Result ? ActivateAsync(token) : Task.CompletedTask),
        new LocalCallContext(nameof(scaler.StreamIsActive), stoppingToken));

    /// <summary>One poll of KEDA and one sync of the HPA.</summary>
    public async Task SyncAsync(CancellationToken cancellationToken)
    {
        var spec = (await scaler.GetMetricSpec(_reference, Context(nameof(scaler.GetMetricSpec)))).MetricSpecs[0];
        var metrics = await scaler.GetMetrics(new GetMetricsRequest { ScaledObjectRef = _reference, MetricName = spec.MetricName }, Context(nameof(scaler.GetMetrics)));
        var active = (await scaler.IsActive(_reference, Context(nameof(scaler.IsActive)))).Result;
        var value = metrics.MetricValues.Where(metric => metric.MetricName == spec.MetricName).Sum(metric => metric.MetricValueFloat);

        await _scaling.WaitAsync(cancellationToken);
        try
        {
            var now = time.GetUtcNow();
            if (active) _lastActive = now;

            var cooldown = Bounds.Cooldown ?? options.Cooldown;
            var wanted = !active && now - _lastActive >= cooldown ? Bounds.MinReplicas
                : Replicas > 0 || active ? Math.Clamp((int)Math.Ceiling(value / spec.TargetSizeFloat), Math.Max(1, Bounds.MinReplicas), Bounds.MaxReplicas)
                : Bounds.MinReplicas;
            await ScaleAsync(wanted, cancellationToken);
        }
        finally
        {
            _scaling.Release();
        }

        ServerCallContext Context(string method) => new LocalCallContext(method, cancellationToken);
    }

    /// <summary>Takes it to zero: it is not in the catalogue any more.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        await _scaling.WaitAsync(cancellationToken);
        try
        {
            await ScaleAsync(0, cancellationToken);
        }
        finally
        {
            _scaling.Release();
        }
    }

    private async Task ActivateAsync(CancellationToken cancellationToken)
    {
        await _scaling.WaitAsync(cancellationToken);
        try
        {
            _lastActive = time.GetUtcNow();
            if (Replicas == 0) await ScaleAsync(Math.Max(1, Bounds.MinReplicas), cancellationToken);
        }
        finally
        {
            _scaling.Release();
        }
    }

    /// <summary>Asked for again and again, changed or not: whoever runs the replicas makes up what was lost.</summary>
    private async Task ScaleAsync(int replicas, CancellationToken cancellationToken)
    {
        // A pool at rest costs nothing.
        if (replicas == 0 && Replicas == 0) return;

        await target.ScaleAsync(Pool.Name, replicas, cancellationToken);
        Replicas = replicas;
    }
}
