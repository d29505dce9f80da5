using System.Globalization;

namespace Serverless.Benchmarks;

/// <summary>Resident memory of the embedded path with a zero-cost engine after 2,000 and after 10,000 requests.</summary>
internal static class MemoryBenchmark
{
    private const int First = 2000;
    private const int All = 10_000;
    private const int Long = 100_000;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine("memory, embedded path with a zero-cost engine");
        await using var embedded = await ServerProcess.StartAsync("serve-embedded");
        using var client = new LoadClient(embedded.Address, 256);
        await client.RateAsync(First, 16);
        var early = embedded.ResidentBytes;
        await client.RateAsync(All - First, 16);
        var late = embedded.ResidentBytes;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  resident after {First} requests {early / 1048576.0:F1} MiB, after {All} {late / 1048576.0:F1} MiB, ratio {(double)late / early:F3}"));
        await client.RateAsync(Long - All, 16);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  after {Long} {embedded.ResidentBytes / 1048576.0:F1} MiB"));
    }
}
