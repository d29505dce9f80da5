using System.Globalization;

namespace Serverless.Benchmarks;

/// <summary>
/// What the distributed path costs: gateway and worker as processes, RabbitMQ, Redis and gRPC between them and an engine that costs nothing, against bare Kestrel that gives the same
/// bytes to the same client.
/// </summary>
internal static class DistributedBenchmark
{
    private const int ShortPrompt = 256;
    private const int LongPrompt = 220_000;
    private const string Engine = """{kvTokens: "1000000000"}""";

    public static Task RunAsync(CancellationToken cancellationToken) => DistributedShape.RunAsync("distributed", Engine, 1, shape => MeasureAsync(shape, cancellationToken), cancellationToken);

    private static async Task MeasureAsync(DistributedShape shape, CancellationToken cancellationToken)
    {
        using var ours = new LoadClient(shape.Address, ShortPrompt);
        using var oursLong = new LoadClient(shape.Address, LongPrompt);
        var bytes = Path.GetTempFileName();
        await File.WriteAllBytesAsync(bytes, await ours.SendAsync(), cancellationToken);
        await using var bare = await ServerProcess.StartAsync("serve-bare", bytes);
        using var anchor = new LoadClient(bare.Address, ShortPrompt);
        using var anchorLong = new LoadClient(bare.Address, LongPrompt);

        // Both compiled and warm before anything counts.
        await ours.RateAsync(20_000, 16);
        await oursLong.RateAsync(400, 8);
        await anchor.RateAsync(20_000, 16);
        await Rounds.RunAsync(
            "distributed path (RabbitMQ, Redis, gRPC) with a zero-cost engine, anchor bare Kestrel",
            () => MeasureAsync(ours, oursLong, 1),
            () => MeasureAsync(anchor, anchorLong, 4));
        File.Delete(bytes);
        await TellCostsAsync(shape, "request at concurrency 16", 8000, requests => ours.RateAsync(requests, 16));
        await TellCostsAsync(shape, "220 KB prompt at concurrency 8", 800, requests => oursLong.RateAsync(requests, 8));
    }

    /// <summary>Where the processor's time goes: by process, which hardly depends on what else this machine does.</summary>
    private static async Task TellCostsAsync(DistributedShape shape, string what, int requests, Func<int, Task> ask)
    {
        (string Name, int Id)[] parts = [.. shape.Parts, ("client", Environment.ProcessId)];
        var before = parts.Select(part => ProcessorTime.Of(part.Id)).ToArray();
        await ask(requests);
        var costs = parts.Select((part, i) => (part.Name, Micros: (ProcessorTime.Of(part.Id) - before[i]).TotalMicroseconds / requests)).ToArray();
        var told = string.Join(", ", costs.Select(cost => string.Create(CultureInfo.InvariantCulture, $"{cost.Name} {cost.Micros:F0}")));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  processor time per {what}: {told}; together {costs.Sum(cost => cost.Micros):F0} µs"));
    }

    private static async Task<Dictionary<string, double>> MeasureAsync(LoadClient brief, LoadClient lengthy, int times) => new(StringComparer.Ordinal)
    {
        ["p50 at concurrency 1, ms"] = await brief.LatencyAsync(400),
        ["requests/s at concurrency 16"] = await brief.RateAsync(2000 * times, 16),
        ["220 KB prompts/s at concurrency 8"] = await lengthy.RateAsync(200 * times, 8),
    };
}
