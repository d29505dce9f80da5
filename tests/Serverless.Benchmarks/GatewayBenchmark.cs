namespace Serverless.Benchmarks;

/// <summary>What the embedded path costs: with a zero-cost engine, against bare Kestrel that gives the same bytes, each in a process of its own, same client.</summary>
internal static class GatewayBenchmark
{
    private const int PromptBytes = 256;
    private const int Requests = 4000;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var embedded = await ServerProcess.StartAsync("serve-embedded");
        using var ours = new LoadClient(embedded.Address, PromptBytes);
        var bytes = Path.GetTempFileName();
        await File.WriteAllBytesAsync(bytes, await ours.SendAsync(), cancellationToken);
        await using var bare = await ServerProcess.StartAsync("serve-bare", bytes);
        using var anchor = new LoadClient(bare.Address, PromptBytes);

        // Both compiled and warm before anything counts.
        foreach (var client in (LoadClient[])[ours, anchor]) await client.RateAsync(20_000, 16);
        await Rounds.RunAsync("gateway, embedded path with a zero-cost engine, anchor bare Kestrel", () => MeasureAsync(ours), () => MeasureAsync(anchor));
        File.Delete(bytes);
    }

    private static async Task<Dictionary<string, double>> MeasureAsync(LoadClient client) => new(StringComparer.Ordinal)
    {
        ["p50 at concurrency 1, ms"] = await client.LatencyAsync(Requests / 4),
        ["requests/s at concurrency 16"] = await client.RateAsync(Requests, 16),
    };
}
