using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Plans;

namespace Serverless.Benchmarks;

/// <summary>Ten thousand pools on one scaler and one connection: how long a poll takes, how long until a change is pushed to all, and what it costs in memory.</summary>
internal static class PoolsBenchmark
{
    private const int Pools = 10_000;
    private const int Calls = 50_000;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        var empty = Resident();
        await using var scaler = await ScalerUnderLoad.StartAsync(Pools);
        Publish(scaler, pending: 0);
        var planned = Resident();

        await using var client = PoolsClient.Start(scaler.Address, Pools);
        await client.AskAsync("expect False");
        var streaming = Resident();

        await client.AskAsync("poll 5000");
        await PollAsync("GetMetrics, all idle", client);
        foreach (var (pending, name) in new[] { (20, "to active"), (0, "to inactive"), (20, "to active again") })
        {
            var (began, cost) = (TimeProvider.System.GetTimestamp(), new Cost());
            Publish(scaler, pending);
            await client.AskAsync($"expect {pending > 0}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  a change {name} of {Pools} pools: pushed to all in {TimeProvider.System.GetElapsedTime(began).TotalMilliseconds:F0} ms (aim ≤ 1000); scaler: {cost}"));
        }

        await PlanAsync(scaler, cancellationToken);
        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
        {
            var working = WorkAsync(scaler, stop.Token);
            await PollAsync("GetMetrics, all active, with new demand and planned every second", client);
            await stop.CancelAsync();
            await working;
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  resident: {planned - empty:F0} MiB for {Pools} pools and their plans, {streaming - planned:F0} MiB more for as many streams, {Resident() - empty:F0} MiB in all with the work"));
    }

    /// <summary>Every dispatcher speaks once a second.</summary>
    private static async Task WorkAsync(ScalerUnderLoad scaler, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
        try
        {
            do Publish(scaler, pending: 20);
            while (await timer.WaitForNextTickAsync(cancellationToken));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    private static void Publish(ScalerUnderLoad scaler, int pending)
    {
        var now = TimeProvider.System.GetUtcNow();
        for (var number = 0; number < Pools; number++)
            scaler.Demand.Publish(new ModelDemand { Model = ScalerUnderLoad.Model(number), At = now, PendingRequests = pending > 0 ? 1 : 0, PendingPromptTokens = pending });
    }

    private static async Task PlanAsync(ScalerUnderLoad scaler, CancellationToken cancellationToken)
    {
        var writer = ActivatorUtilities.CreateInstance<PlanWriter>(scaler.Services, new MemoryPlanFeed());
        for (var i = 0; i < 4; i++)
        {
            Publish(scaler, pending: 20); // the same demand again would not be planned again
            var (began, cost, allocated) = (TimeProvider.System.GetTimestamp(), new Cost(), GC.GetAllocatedBytesForCurrentThread());
            await writer.WriteAsync(1, scaler.Services.GetRequiredService<ICatalogSource>().Current, null, cancellationToken);
            if (i == 3) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  one plan of all, with work: {TimeProvider.System.GetElapsedTime(began).TotalMilliseconds:F0} ms, {(GC.GetAllocatedBytesForCurrentThread() - allocated) / Pools} bytes a pool; with what else the scaler did: {cost}"));
        }
    }

    private static async Task PollAsync(string what, PoolsClient client)
    {
        var cost = new Cost();
        var times = await client.AskAsync(string.Create(CultureInfo.InvariantCulture, $"poll {Calls}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what}: {times} with {PoolsClient.AtOnce} calls at once (aim p99 ≤ 10); scaler: {cost}"));
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
}
