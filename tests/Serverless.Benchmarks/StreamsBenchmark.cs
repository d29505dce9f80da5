using System.Globalization;

namespace Serverless.Benchmarks;

/// <summary>What an open stream costs a gateway of the distributed shape: its resident memory with 5,000 of them, as tokens go through.</summary>
internal static class StreamsBenchmark
{
    private const int Streams = 5000;
    private const int AtOnce = 250;
    private const string Body = $$"""{"model":"{{Servers.Model}}","messages":[{"role":"user","content":"Hello"}],"stream":true,"max_tokens":10000}""";

    // Two workers that give each of their 2,500 streams about two tokens a second.
    private const string Engine = """{slots: "3000", kvTokens: "1000000000", outputTokens: "100000", decodeTokensPerSecond: "4000"}""";

    public static Task RunAsync(CancellationToken cancellationToken) => DistributedShape.RunAsync("streams", Engine, 2, MeasureAsync, cancellationToken);

    private static async Task MeasureAsync(DistributedShape shape)
    {
        Console.WriteLine("open streams through a gateway of the distributed shape, its resident memory");
        using var streams = new OpenStreams(shape.Address, Body);
        streams.Open(AtOnce);
        await streams.SeenAsync(2); // compiled and warm before anything counts
        var before = shape.Gateway.ResidentBytes;
        for (var open = AtOnce; open < Streams; open += AtOnce)
        {
            streams.Open(AtOnce);
            await streams.SeenAsync(1);
        }

        Console.Write(string.Create(CultureInfo.InvariantCulture, $"  {AtOnce} streams {before / 1048576.0:F0} MiB; {Streams}: KiB for each more, open {PerStream()}"));
        foreach (var tokens in new[] { 25, 50, 75, 100 })
        {
            await streams.SeenAsync(tokens);
            Console.Write($", after {tokens} tokens {PerStream()}");
        }

        Console.WriteLine();
        await streams.CloseAsync();

        string PerStream() => string.Create(CultureInfo.InvariantCulture, $"{(shape.Gateway.ResidentBytes - before) / 1024.0 / (Streams - AtOnce):F1}");
    }
}
