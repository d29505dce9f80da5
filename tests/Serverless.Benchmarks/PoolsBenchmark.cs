using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Scaler.Protos;
using Serverless.Scaling;

namespace Serverless.Benchmarks;

/// <summary>Ten thousand pools on one scaler and one connection: how long a poll takes, how long until a change is pushed to all, and what it costs in memory.</summary>
internal static class PoolsBenchmark
{
    private const int Pools = 10_000;
    private const int Calls = 50_000;
    private const int AtOnce = 16;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        var empty = Resident();
        await using var scaler = await ScalerUnderLoad.StartAsync(Pools);
        Publish(scaler, pending: 0);
        var planned = Resident();

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var pushed = new Pushed();
        var streams = Enumerable.Range(0, Pools).Select(number => ListenAsync(scaler, number, pushed, stop.Token)).ToArray();
        await pushed.AllAsync(active: false, cancellationToken);
        var streaming = Resident();

        await PollAsync(scaler, AtOnce * 100, cancellationToken);
        await PrintPollsAsync("GetMetrics, all idle", scaler, cancellationToken);

        foreach (var (pending, name) in new[] { (20, "to active"), (0, "to inactive"), (20, "to active again") })
        {
            pushed.Expect(pending > 0);
            var (began, cost) = (TimeProvider.System.GetTimestamp(), new Cost());
            Publish(scaler, pending);
            await pushed.AllAsync(pending > 0, cancellationToken);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  a change {name} of {Pools} pools: pushed to all in {TimeProvider.System.GetElapsedTime(began).TotalMilliseconds:F0} ms (aim ≤ 1000); scaler and client: {cost}"));
        }

        await PlanAsync(scaler, cancellationToken);
        await PrintPollsAsync("GetMetrics, all active and planned every second", scaler, cancellationToken);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  resident: {planned - empty:F0} MiB for {Pools} pools and their plans, {streaming - planned:F0} MiB more for as many streams and their clients, {Resident() - empty:F0} MiB in all with the work"));
        await stop.CancelAsync();
        await Task.WhenAll(streams);
    }

    private static void Publish(ScalerUnderLoad scaler, int pending)
    {
        var now = TimeProvider.System.GetUtcNow();
        for (var number = 0; number < Pools; number++)
            scaler.Demand.Publish(new Demand { Model = ScalerUnderLoad.Model(number), At = now, PendingRequests = pending > 0 ? 1 : 0, PendingPromptTokens = pending });
    }

    private static async Task<TimeSpan[]> PollAsync(ScalerUnderLoad scaler, int calls, CancellationToken cancellationToken)
    {
        var times = new TimeSpan[calls];
        await Parallel.ForEachAsync(Enumerable.Range(0, calls), new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken }, async (call, token) =>
        {
            var began = TimeProvider.System.GetTimestamp();
            await scaler.Client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerUnderLoad.Reference(call % Pools), MetricName = "desired-replicas" }, cancellationToken: token);
            times[call] = TimeProvider.System.GetElapsedTime(began);
        });
        return times;
    }

    private static async Task PlanAsync(ScalerUnderLoad scaler, CancellationToken cancellationToken)
    {
        var writer = ActivatorUtilities.CreateInstance<PlanWriter>(scaler.Services, new MemoryPlanFeed());
        for (var i = 0; i < 4; i++)
        {
            var (began, cost) = (TimeProvider.System.GetTimestamp(), new Cost());
            await writer.WriteAsync(1, scaler.Services.GetRequiredService<ICatalogSource>().Current.Models, cancellationToken);
            if (i == 3) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  one plan of all, with work: {TimeProvider.System.GetElapsedTime(began).TotalMilliseconds:F0} ms; {cost}"));
        }
    }

    private static async Task ListenAsync(ScalerUnderLoad scaler, int number, Pushed pushed, CancellationToken cancellationToken)
    {
        using var stream = scaler.Client.StreamIsActive(ScalerUnderLoad.Reference(number), cancellationToken: cancellationToken);
        try
        {
            while (await stream.ResponseStream.MoveNext(cancellationToken)) pushed.Saw(number, stream.ResponseStream.Current.Result);
        }
        catch (Exception exception) when (cancellationToken.IsCancellationRequested && exception is OperationCanceledException or Grpc.Core.RpcException)
        {
        }
    }

    private static async Task PrintPollsAsync(string what, ScalerUnderLoad scaler, CancellationToken cancellationToken)
    {
        var cost = new Cost();
        var times = await PollAsync(scaler, Calls, cancellationToken);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what}: p50 {times.At(0.5).TotalMilliseconds:F2} ms, p99 {times.At(0.99).TotalMilliseconds:F2} ms with {AtOnce} calls at once (aim p99 ≤ 10); scaler and client: {cost}"));
    }

    private static double Resident()
    {
        GC.Collect();
        return Environment.WorkingSet / 1048576.0;
    }

    /// <summary>What this process used since then.</summary>
    private sealed class Cost
    {
        private readonly TimeSpan _busy = Environment.CpuUsage.TotalTime;
        private readonly TimeSpan _paused = GC.GetTotalPauseDuration();
        private readonly long _allocated = GC.GetTotalAllocatedBytes();
        private readonly int _collections = GC.CollectionCount(0);

        public override string ToString() => string.Create(CultureInfo.InvariantCulture,
            $"{(Environment.CpuUsage.TotalTime - _busy).TotalMilliseconds:F0} ms of processor time, {(GC.GetTotalAllocatedBytes() - _allocated) / 1048576.0:F0} MiB allocated, stopped {GC.CollectionCount(0) - _collections} times for {(GC.GetTotalPauseDuration() - _paused).TotalMilliseconds:F0} ms to collect");
    }

    /// <summary>What each stream said last.</summary>
    private sealed class Pushed
    {
        private readonly Lock _lock = new();
        private readonly bool?[] _said = new bool?[Pools];
        private TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _expected;
        private int _count;

        public void Expect(bool active)
        {
            lock (_lock)
            {
                _expected = active;
                _count = _said.Count(said => said == active);
                _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        public void Saw(int number, bool active)
        {
            lock (_lock)
            {
                if (_said[number] == active) return;

                _count += active == _expected ? 1 : _said[number] == _expected ? -1 : 0;
                _said[number] = active;
                if (_count == Pools) _all.TrySetResult();
            }
        }

        public Task AllAsync(bool active, CancellationToken cancellationToken)
        {
            lock (_lock) return _count == Pools && _expected == active ? Task.CompletedTask : _all.Task.WaitAsync(cancellationToken);
        }
    }
}
