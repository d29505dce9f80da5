using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Hosting.Loading;

namespace Serverless.Benchmarks;

/// <summary>
/// How fast models are pulled: one file against curl (the anchor), from a server that limits nothing, and from one that gives each connection so much a second, where ranges side by side pay. What is
/// pulled is hashed and synced to the disk, which curl does not do; curl with sha256sum and sync is told too.
/// </summary>
internal static class LoadingBenchmark
{
    private const long Bytes = 1L << 30;
    private const long LimitedBytes = 64L << 20;
    private const int Rounds = 3;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var server = await ServerProcess.StartAsync("serve-files");
        var free = new Uri(server.Address, string.Create(CultureInfo.InvariantCulture, $"free/{Bytes}/model.gguf"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"loading, one file of {Bytes / 1e6:F0} MB over loopback, {Rounds} rounds, the median"));
        var (curl, synced, ours) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            curl.Add(await CurlAsync("curl -sS -o \"$1/m\" \"$0\"", free, cancellationToken));
            synced.Add(await CurlAsync("curl -sS -o \"$1/m\" \"$0\" && sha256sum \"$1/m\" && sync \"$1/m\"", free, cancellationToken));
            ours.Add(await OursAsync(free, 8, cancellationToken));
        }

        Tell("curl", Bytes, curl, curl);
        Tell("curl, sha256sum, sync", Bytes, synced, curl);
        Tell("ours", Bytes, ours, curl);

        var limited = new Uri(server.Address, string.Create(CultureInfo.InvariantCulture, $"limited/{LimitedBytes}/model.gguf"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"loading, one file of {LimitedBytes / 1e6:F0} MB, {Servers.FileRate / 1e6:F0} MB/s a connection"));
        List<double> slow = [await CurlAsync("curl -sS -o \"$1/m\" \"$0\"", limited, cancellationToken)];
        Tell("curl", LimitedBytes, slow, slow);
        Tell("ours, 8 ranges", LimitedBytes, [await OursAsync(limited, 8, cancellationToken)], slow);
    }

    private static void Tell(string what, long bytes, List<double> seconds, List<double> anchor)
    {
        var (median, of) = (seconds.Order().ElementAt(seconds.Count / 2), anchor.Order().ElementAt(anchor.Count / 2));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {what}: {bytes / median / 1e6:F0} MB/s, {of / median:P0} of curl's rate"));
    }

    private static async Task<double> CurlAsync(string script, Uri address, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("serverless-bench-");
        try
        {
            var started = TimeProvider.System.GetTimestamp();
            using var process = Process.Start(new ProcessStartInfo("sh", ["-c", script, address.ToString(), folder.FullName]) { UseShellExecute = false, RedirectStandardOutput = true })!;
            await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0 ? TimeProvider.System.GetElapsedTime(started).TotalSeconds : throw new InvalidOperationException($"curl ended with {process.ExitCode}.");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<double> OursAsync(Uri address, int connections, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("serverless-bench-");
        try
        {
            using var store = new ModelStore(new ModelOptions { Directory = folder.FullName, Connections = connections, SegmentBytes = 8 << 20 }, TimeProvider.System, NullLogger<ModelStore>.Instance);
            var started = TimeProvider.System.GetTimestamp();
            using var held = await store.HoldAsync(ModelUri.Parse(address.ToString(), out _)!, new Progress<double>(), cancellationToken);
            return TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
