using Serverless.Benchmarks;

var benchmarks = new Dictionary<string, Func<CancellationToken, Task>>(StringComparer.Ordinal)
{
    ["batch"] = BatchBenchmark.RunAsync,
    ["bodies"] = BodiesBenchmark.RunAsync,
    ["distributed"] = DistributedBenchmark.RunAsync,
    ["engine"] = EngineBenchmark.RunAsync,
    ["gateway"] = GatewayBenchmark.RunAsync,
    ["idle"] = IdleBenchmark.RunAsync,
    ["loading"] = LoadingBenchmark.RunAsync,
    ["log"] = LogBenchmark.RunAsync,
    ["memory"] = MemoryBenchmark.RunAsync,
    ["pools"] = PoolsBenchmark.RunAsync,
    ["protection"] = ProtectionBenchmark.RunAsync,
    ["push"] = PushBenchmark.RunAsync,
    ["replay"] = ReplayBenchmark.RunAsync,
    ["queue"] = QueueBenchmark.RunAsync,
    ["streams"] = StreamsBenchmark.RunAsync,
};

// The servers that the benchmarks measure are this program again, in another process.
switch (args)
{
    case ["serve-embedded"]:
        await Servers.EmbeddedAsync();
        return 0;
    case ["serve-batches"]:
        await Servers.BatchesAsync();
        return 0;
    case ["serve-shipped"]:
        await Servers.ShippedAsync();
        return 0;
    case ["serve-bare", var body]:
        await Servers.BareAsync(body);
        return 0;
    case ["serve-files"]:
        await Servers.FilesAsync();
        return 0;
    case ["pools-client", var address, var pools]:
        await PoolsClient.ServeAsync(address, int.Parse(pools, System.Globalization.CultureInfo.InvariantCulture));
        return 0;
}

var names = args.Length > 0 ? args : [.. benchmarks.Keys];
foreach (var name in names)
{
    if (!benchmarks.TryGetValue(name, out var benchmark))
    {
        Console.Error.WriteLine($"There is no benchmark '{name}'; there are: {string.Join(", ", benchmarks.Keys)}.");
        return 2;
    }

    await benchmark(CancellationToken.None);
}

return 0;
