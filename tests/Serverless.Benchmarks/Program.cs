using Serverless.Benchmarks;

var benchmarks = new Dictionary<string, Func<CancellationToken, Task>>(StringComparer.Ordinal)
{
    ["engine"] = EngineBenchmark.RunAsync,
};

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
