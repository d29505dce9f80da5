using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Serverless.Catalog;
using Serverless.Scaler.Protos;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>
/// What KEDA calls. Answers come from the plan last heard of and are bounded in time: KEDA's own calls carry no deadline, and a hung or failing handler freezes or zeroes a pool.
/// The metric is desired replicas with target 1, so the HPA's arithmetic yields exactly what was planned.
/// </summary>
internal sealed class ExternalScalerService(
    ICatalogSource catalog, ScalePlans plans, PlanFollower follower, ICapacityFeed capacity, IHostApplicationLifetime lifetime, ScalerMetrics metrics, TimeProvider time) : ExternalScaler.ExternalScalerBase
{
    /// <summary>How long a message may wait for its reader. Nothing but a dead peer takes so long: KEDA's connection buffers thousands.</summary>
    private static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(30);

    /// <summary>Timers count whole milliseconds and may be early by one.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);

    public override async Task<IsActiveResponse> IsActive(ScaledObjectRef request, ServerCallContext context)
    {
        using var call = metrics.Call(nameof(IsActive));
        var decision = await AnswerAsync(request);
        call.Answered();
        return new IsActiveResponse { Result = decision.Active };
    }

    public override Task<GetMetricSpecResponse> GetMetricSpec(ScaledObjectRef request, ServerCallContext context)
    {
        using var call = metrics.Call(nameof(GetMetricSpec));
        var spec = Spec(Checked(request));
        call.Answered();
        return Task.FromResult(spec);
    }

    public override async Task<GetMetricsResponse> GetMetrics(GetMetricsRequest request, ServerCallContext context)
    {
        using var call = metrics.Call(nameof(GetMetrics));
        var reference = request.ScaledObjectRef ?? new ScaledObjectRef();
        var decision = await AnswerAsync(reference);

        // An empty name asks for all; any other is answered under the name asked for, since the HPA sums what it gets.
        var name = request.MetricName.Length == 0 ? PoolReferenceParser.Parse(reference).MetricName : request.MetricName;
        call.Answered();
        return new GetMetricsResponse { MetricValues = { new MetricValue { MetricName = name, MetricValueFloat = decision.Replicas, MetricValue_ = decision.Replicas } } };
    }

    /// <summary>The state on open, each change to active at once, and again at every heartbeat only while work waits at no ready replica. Ends cleanly at shutdown: only that resets KEDA's back-off.</summary>
    public override async Task StreamIsActive(ScaledObjectRef request, IServerStreamWriter<IsActiveResponse> responseStream, ServerCallContext context)
    {
        using var call = metrics.Stream(nameof(StreamIsActive));
        var reference = Checked(request);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);

        try
        {
            await PushAsync(reference, responseStream, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        finally
        {
            await stop.CancelAsync();
        }

        call.Answered();
    }

    /// <summary>The spec, once: it never changes, and the open stream says so.</summary>
    public override async Task StreamMetricSpec(ScaledObjectRef request, IServerStreamWriter<GetMetricSpecResponse> responseStream, ServerCallContext context)
    {
        using var call = metrics.Stream(nameof(StreamMetricSpec));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        var spec = Spec(Checked(request));
        try
        {
            if (await WriteAsync(responseStream, spec, stop.Token)) await Task.Delay(Timeout.InfiniteTimeSpan, time, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }

        call.Answered();
    }

    private static GetMetricSpecResponse Spec(PoolReference reference) =>
        new() { MetricSpecs = { new MetricSpec { MetricName = reference.MetricName, TargetSizeFloat = 1, TargetSize = 1 } } };

    /// <summary>The plan last heard of. There is an error only where there is nothing to say: KEDA then leaves replicas as they are.</summary>
    private async ValueTask<ScaleDecision> AnswerAsync(ScaledObjectRef request)
    {
        var pool = PoolReferenceParser.Parse(request).Pool;
        if (plans.Known.IsCompleted || plans.Latest(pool) is null) await follower.FreshAsync();
        if (plans.Latest(pool) is { } decision) return decision;

        Checked(request);
        throw new RpcException(new Status(StatusCode.Unavailable, $"ScaledObject {request.Namespace}/{request.Name}: pool '{pool}' has no plan yet, and no work is known to wait for it; its replicas stay as they are."));
    }

    /// <summary>Every fault at once, except where an answer is known nevertheless.</summary>
    /// <exception cref="RpcException"><see cref="StatusCode.InvalidArgument"/>, naming keys, values and what is allowed.</exception>
    private PoolReference Checked(ScaledObjectRef request)
    {
        List<string> faults = [];
        var reference = PoolReferenceParser.Parse(request, faults);
        if (faults.Count == 0 && plans.Latest(reference.Pool) is not null) return reference;

        faults.Clear();
        reference = PoolReferenceParser.Parse(request, catalog.Current, faults);
        return faults.Count == 0 ? reference : throw new RpcException(new Status(StatusCode.InvalidArgument, $"ScaledObject {request.Namespace}/{request.Name}: {string.Join("; ", faults)}."));
    }

    /// <summary>False: nobody reads; the stream ends and KEDA opens another.</summary>
    private async Task<bool> WriteAsync<T>(IServerStreamWriter<T> stream, T message, CancellationToken cancellationToken)
    {
        try
        {
            var written = stream.WriteAsync(message, cancellationToken);
            if (!written.IsCompletedSuccessfully) await written.WaitAsync(WriteLimit, time, cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is TimeoutException or IOException or InvalidOperationException)
        {
            return false; // the peer is gone: its reset may come before its cancellation
        }
    }

    /// <summary>Writes the pool's activity until nobody reads. Whoever reads late reads the latest: while a message is written, those that would follow it are looked at together.</summary>
    private async Task PushAsync(PoolReference reference, IServerStreamWriter<IsActiveResponse> stream, CancellationToken cancellationToken)
    {
        bool? sent = null;
        var beatAt = 0L;
        while (!cancellationToken.IsCancellationRequested)
        {
            var (decision, changed) = plans.Watch(reference.Pool);
            var active = decision?.Active ?? false;
            var news = decision is not null && sent != active;
            var left = sent == true ? reference.Heartbeat - time.GetElapsedTime(beatAt) : TimeSpan.Zero;
            if (active && left < Shortest)
            {
                // KEDA may have missed it, and while a replica is up the polls suffice.
                news |= capacity.Latest(reference.Pool).Ready == 0;
                (beatAt, left) = (time.GetTimestamp(), reference.Heartbeat);
            }

            // Set up before the message: whoever has read it can rely on the next beat.
            var next = active ? changed.WaitAsync(left, time, cancellationToken) : changed.WaitAsync(cancellationToken);
            if (news)
            {
                if (!await WriteAsync(stream, new IsActiveResponse { Result = active }, cancellationToken)) return;

                sent = active;
                metrics.Pushed(active);
            }

            await next.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
