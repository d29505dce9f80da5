using System.Globalization;
using System.Threading.Channels;
using Serverless.Scaler.Protos;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>
/// What KEDA 2.21 and the HPA do with one ScaledObject, over gRPC and without deadlines as they do it: the push activates to one replica and a push of false is ignored; a poll asks
/// GetMetricSpec, GetMetrics, IsActive; the HPA takes ceil(sum / target) of values of three decimals; inactive for the cooldown is zero.
/// </summary>
internal sealed class KedaOperator(ExternalScaler.ExternalScalerClient client, ScaledObjectRef reference, int max, TimeSpan cooldown, TimeProvider time)
{
    private readonly Channel<int> _pushes = Channel.CreateBounded<int>(64);
    private DateTimeOffset _lastActive = time.GetUtcNow();
    private int _replicas;

    public int Replicas => Volatile.Read(ref _replicas);

    /// <summary>Replica counts written because of a push.</summary>
    public ChannelReader<int> Pushes => _pushes.Reader;

    public async Task ListenAsync(CancellationToken cancellationToken)
    {
        using var call = client.StreamIsActive(reference, cancellationToken: cancellationToken);
        while (await call.ResponseStream.MoveNext(cancellationToken))
        {
            if (!call.ResponseStream.Current.Result) continue;

            _lastActive = time.GetUtcNow();
            if (Interlocked.CompareExchange(ref _replicas, 1, 0) == 0) await _pushes.Writer.WriteAsync(1, cancellationToken);
        }
    }

    public async Task SyncAsync(CancellationToken cancellationToken)
    {
        var spec = (await client.GetMetricSpecAsync(reference, cancellationToken: cancellationToken)).MetricSpecs.Single();
        var metrics = await client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = reference, MetricName = spec.MetricName }, cancellationToken: cancellationToken);
        var active = (await client.IsActiveAsync(reference, cancellationToken: cancellationToken)).Result;

        var now = time.GetUtcNow();
        if (active) _lastActive = now;
        if (!active && now - _lastActive >= cooldown) Volatile.Write(ref _replicas, 0);
        if (Replicas == 0) return;

        var sum = metrics.MetricValues.Sum(value => decimal.Parse((value.MetricValueFloat > 0 ? value.MetricValueFloat : value.MetricValue_).ToString("F3", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture));
        var target = (decimal)(spec.TargetSizeFloat > 0 ? spec.TargetSizeFloat : spec.TargetSize);
        Volatile.Write(ref _replicas, Math.Clamp((int)Math.Ceiling(sum / target), 1, max));
    }
}
