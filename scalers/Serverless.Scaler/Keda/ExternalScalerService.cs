using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Serverless.Catalog;
using Serverless.Scaler.Protos;
using Serverless.Scaling;

namespace Serverless.Scaler.Keda;

/// <summary>
/// What KEDA calls. Answers come from the plan last made and never wait: KEDA's own calls carry no deadline, and a hung or failing handler freezes or zeroes a pool.
/// The metric is desired replicas with target 1, so the HPA's arithmetic yields exactly what was planned.
/// </summary>
internal sealed class ExternalScalerService(ICatalogSource catalog, ScalePlans plans, ICapacityFeed capacity, IHostApplicationLifetime lifetime, ScalerMetrics metrics, TimeProvider time)
    : ExternalScaler.ExternalScalerBase
{
    /// <summary>The one metric; KEDA's <c>sN-</c> prefix is gone when it asks.</summary>
    public const string MetricName = "desired-replicas";

    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(5);

    public override Task<IsActiveResponse> IsActive(ScaledObjectRef request, ServerCallContext context)
    {
        metrics.Called(nameof(IsActive));
        return Task.FromResult(new IsActiveResponse { Result = plans.Latest(PoolReference.Name(request))?.Active ?? false });
    }

    public override Task<GetMetricSpecResponse> GetMetricSpec(ScaledObjectRef request, ServerCallContext context)
    {
        metrics.Called(nameof(GetMetricSpec));
        PoolReference.Validate(request, catalog.Current);
        return Task.FromResult(Spec());
    }

    public override Task<GetMetricsResponse> GetMetrics(GetMetricsRequest request, ServerCallContext context)
    {
        metrics.Called(nameof(GetMetrics));
        var replicas = plans.Latest(PoolReference.Name(request.ScaledObjectRef))?.Replicas ?? 0;
        var response = new GetMetricsResponse();

        // An empty name asks for all; any other is answered under the name asked for, since the HPA sums what it gets.
        response.MetricValues.Add(new MetricValue { MetricName = request.MetricName.Length == 0 ? MetricName : request.MetricName, MetricValueFloat = replicas, MetricValue_ = replicas });
        return Task.FromResult(response);
    }

    /// <summary>The state on open, each change to active at once, and every five seconds again only while work waits at no ready replica. Ends cleanly at shutdown: only that resets KEDA's back-off.</summary>
    public override async Task StreamIsActive(ScaledObjectRef request, IServerStreamWriter<IsActiveResponse> responseStream, ServerCallContext context)
    {
        metrics.Called(nameof(StreamIsActive));
        var pool = PoolReference.Name(request);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);

        // One message: whoever reads late reads the latest.
        var states = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        var watch = WatchAsync(pool, states.Writer, stop.Token);
        try
        {
            await foreach (var active in states.Reader.ReadAllAsync(stop.Token)) await responseStream.WriteAsync(new IsActiveResponse { Result = active }, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        finally
        {
            await stop.CancelAsync();
            await watch;
        }
    }

    public override async Task StreamMetricSpec(ScaledObjectRef request, IServerStreamWriter<GetMetricSpecResponse> responseStream, ServerCallContext context)
    {
        metrics.Called(nameof(StreamMetricSpec));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        PoolReference.Validate(request, catalog.Current);
        await responseStream.WriteAsync(Spec(), context.CancellationToken);
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, time, stop.Token); // the spec never changes; an open stream says so
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static GetMetricSpecResponse Spec()
    {
        var response = new GetMetricSpecResponse();
        response.MetricSpecs.Add(new MetricSpec { MetricName = MetricName, TargetSizeFloat = 1, TargetSize = 1 });
        return response;
    }

    private async Task WatchAsync(PoolName pool, ChannelWriter<bool> states, CancellationToken cancellationToken)
    {
        bool? sent = null;
        var sentAt = time.GetTimestamp();
        try
        {
            // A plan is made at least once a second, so the heartbeat needs no timer of its own.
            await foreach (var decision in plans.WatchAsync(pool, cancellationToken))
            {
                var waits = decision.Active && capacity.Latest(pool).Ready == 0 && time.GetElapsedTime(sentAt) >= Heartbeat;
                if (sent == decision.Active && !waits) continue;

                (sent, sentAt) = (decision.Active, time.GetTimestamp());
                states.TryWrite(decision.Active);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }
}
