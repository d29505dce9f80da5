using System.Globalization;
using Shouldly;

namespace Serverless.EndToEndTests.Keda;

/// <summary>Something befalls one of two scalers for longer than the cooldown: a pool with work stays up, and one at zero comes up.</summary>
public abstract class OutageTests(KedaCluster cluster)
{
    /// <summary>Runs of each fault, side by side: <c>KEDA_RUNS</c>, else 3.</summary>
    private static readonly int Runs = int.Parse(Environment.GetEnvironmentVariable("KEDA_RUNS") ?? "3", CultureInfo.InvariantCulture);

    private const int AtOnce = 4;

    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(KedaPool.CooldownSeconds + 6);
    private static readonly TimeSpan FromZero = TimeSpan.FromSeconds(90);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private protected async Task HoldsAsync(Fault fault)
    {
        await cluster.UpAsync();
        List<Run> runs = [];
        foreach (var round in Enumerable.Range(0, Runs).Chunk(AtOnce)) runs.AddRange(await Task.WhenAll(round.Select(run => RunAsync(fault, run))));

        var blameless = runs.Where(run => run.FellToZero && run.ScalerSaidActive).ToArray();
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{fault}, {Runs} runs of {Outage.TotalSeconds:F0} s: up from zero in {string.Join(", ", runs.Select(run => $"{run.UpAfter.TotalSeconds:F1}"))} s; fell to zero with work: {runs.Count(run => run.FellToZero)}, of these by KEDA's own race: {blameless.Length}"));
        foreach (var fallen in runs.Where(run => run.FellToZero)) TestContext.Current.TestOutputHelper?.WriteLine($"  replicas: {fallen.Replicas}");

        runs.ShouldAllBe(run => !run.FellToZero || run.ScalerSaidActive, "a scaler said that there was no work");
        runs.ShouldAllBe(run => run.UpAfter < FromZero);
    }

    private async Task<Run> RunAsync(Fault fault, int number)
    {
        var (busy, cold) = (new KedaPool($"busy-{fault}-{number}".ToLowerInvariant()), new KedaPool($"cold-{fault}-{number}".ToLowerInvariant()));
        await using var pair = await (fault is Fault.Killed or Fault.Stopped ? ScalerPair.ProcessesAsync(Token, busy, cold) : ScalerPair.ServedAsync(busy, cold));
        pair.Work(busy, running: 33);
        pair.Work(cold);
        await cluster.ApplyAsync($"{busy.Manifests(pair.Balancer.Address)}\n---\n{cold.Manifests(pair.Balancer.Address)}");
        await using var busyReplicas = await cluster.WatchAsync($"deployment/{busy.Name}", ".spec.replicas");
        await using var coldReplicas = await cluster.WatchAsync($"deployment/{cold.Name}", ".spec.replicas");
        await busyReplicas.UntilAsync(value => value is not "0" and not "1", Token);
        await coldReplicas.UntilAsync(value => value == "0", Token);

        var struck = pair.Balancer.Serving;
        await struck.BefallAsync(fault);
        var before = busyReplicas.Seen.Count;
        var began = TimeProvider.System.GetTimestamp();
        pair.Work(cold, pending: 20);
        var stays = busyReplicas.ForAsync(Outage, Token);
        await coldReplicas.UntilAsync(value => value != "0", Token, FromZero);
        var up = TimeProvider.System.GetElapsedTime(began);
        await stays;

        var said = await pair.Balancer.SaysActiveAsync(busy.Name, Token);
        await cluster.KubectlAsync("delete", $"scaledobject/{busy.Name}", $"scaledobject/{cold.Name}", "--wait=false");
        if (fault != Fault.Killed) await struck.BefallAsync(Fault.None);
        return new Run(busyReplicas.Seen.Skip(before).Any(seen => seen.Value == "0"), said, up, string.Join(" ", busyReplicas.Seen.Select(seen => seen.Value)));
    }

    private sealed record Run(bool FellToZero, bool ScalerSaidActive, TimeSpan UpAfter, string Replicas);
}
