using System.Globalization;
using Shouldly;

namespace Serverless.EndToEndTests.Keda;

/// <summary>The operator itself goes and comes back; apart from the other tests, for it is theirs as well.</summary>
[Collection(nameof(OperatorRestartTests))]
[CollectionDefinition(nameof(OperatorRestartTests), DisableParallelization = true)]
public sealed class OperatorRestartTests(KedaCluster cluster)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_operator_opens_the_streams_anew_and_takes_up_what_waits()
    {
        await cluster.UpAsync();
        var (busy, cold) = (new KedaPool("restart-busy"), new KedaPool("restart-cold"));
        await using var pair = await ScalerPair.ServedAsync(busy, cold);
        pair.Work(busy, running: 33);
        pair.Work(cold);
        await cluster.ApplyAsync($"{busy.Manifests(pair.Balancer.Address)}\n---\n{cold.Manifests(pair.Balancer.Address)}");
        await using var busyReplicas = await cluster.WatchAsync($"deployment/{busy.Name}", ".spec.replicas");
        await using var coldReplicas = await cluster.WatchAsync($"deployment/{cold.Name}", ".spec.replicas");
        await busyReplicas.UntilAsync(value => value == "3", Token);
        await coldReplicas.UntilAsync(value => value == "0", Token);

        await using (await cluster.RestartOperatorAsync(Token))
        {
            pair.Work(cold, pending: 20);
            var began = TimeProvider.System.GetTimestamp();
            await coldReplicas.UntilAsync(value => value == "1", Token, TimeSpan.FromSeconds(90));
            TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"up {TimeProvider.System.GetElapsedTime(began).TotalSeconds:F1} s after the operator was started again"));
            await busyReplicas.ForAsync(TimeSpan.FromSeconds(2), Token);
            busyReplicas.Seen.SkipWhile(seen => seen.Value == "0").ShouldAllBe(seen => seen.Value != "0", "its work ran on");
        }
    }
}
