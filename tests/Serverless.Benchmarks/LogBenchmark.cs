using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Hosting.Redis.Connection;
using Serverless.Hosting.Redis.Log;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Benchmarks;

/// <summary>
/// Token events per second through the log on a real Redis (append, and follow on another connection, both in this process), and what an open follower holds in memory.
/// The anchor is one core of ours: events per second of processor time that this process took, whatever the machine did beside it.
/// </summary>
internal static class LogBenchmark
{
    private const int Streams = 128;
    private const int OpenFollowers = 5000;

    private static readonly TimeSpan Warmup = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Measured = TimeSpan.FromSeconds(10);

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine("log, Redis with an append-only file (everysec), a token an event");
        if (!File.Exists("/usr/bin/redis-server"))
        {
            Console.WriteLine("  no /usr/bin/redis-server: apt-get install redis-server");
            return;
        }

        var folder = Directory.CreateTempSubdirectory("serverless-bench-redis-");
        var port = FreePort();
        string[] settings = ["--port", $"{port}", "--bind", "127.0.0.1", "--dir", folder.FullName, "--save", "", "--appendonly", "yes", "--logfile", "redis.log"];
        using var server = Process.Start(new ProcessStartInfo("/usr/bin/redis-server", settings) { UseShellExecute = false })!;
        try
        {
            await using var writing = Connection(port);
            await using var reading = Connection(port);
            await writing.OpenAsync(cancellationToken);
            await reading.OpenAsync(cancellationToken);
            await using var writers = new RedisFollowers(writing, new Supervisor(TimeProvider.System, NoLoopObserver.Instance), TimeProvider.System, NullLogger<RedisFollowers>.Instance);
            await using var readers = new RedisFollowers(reading, new Supervisor(TimeProvider.System, NoLoopObserver.Instance), TimeProvider.System, NullLogger<RedisFollowers>.Instance);
            var (worker, gateway) = (new RedisRequestLog(writing, writers), new RedisRequestLog(reading, readers));
            await RateAsync(worker, gateway, server, cancellationToken);
            await MemoryAsync(worker, gateway, cancellationToken);
        }
        finally
        {
            server.Kill();
            await server.WaitForExitAsync(CancellationToken.None);
            folder.Delete(recursive: true);
        }
    }

    private static async Task RateAsync(RedisRequestLog worker, RedisRequestLog gateway, Process server, CancellationToken cancellationToken)
    {
        var streams = await OpenAsync(worker, gateway, Streams, cancellationToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // Four workers of 32 slots: a step of an engine appends one event of each of its requests and waits for all.
        var engines = streams.Chunk(32).Select(slots => StepAsync(worker, slots, stop.Token)).ToArray();

        await PassAsync(Warmup, cancellationToken);
        var (events, ours, theirs, since) = (streams.Sum(stream => stream.Seen), Environment.CpuUsage.TotalTime, server.TotalProcessorTime, TimeProvider.System.GetTimestamp());
        await PassAsync(Measured, cancellationToken);
        events = streams.Sum(stream => stream.Seen) - events;
        server.Refresh();
        (ours, theirs) = (Environment.CpuUsage.TotalTime - ours, server.TotalProcessorTime - theirs);
        var elapsed = TimeProvider.System.GetElapsedTime(since);

        await stop.CancelAsync();
        await Task.WhenAll(engines);
        await EndAsync(worker, streams);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {Streams} streams: {events / elapsed.TotalSeconds:F0} events/s appended and followed; ours {ours / elapsed:P0} of a core, Redis {theirs / elapsed:P0}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  with one core of ours: {events / ours.TotalSeconds:F0} events/s (at least 20000 wanted); Redis' core would take {events / theirs.TotalSeconds:F0}"));
    }

    private static async Task MemoryAsync(RedisRequestLog worker, RedisRequestLog gateway, CancellationToken cancellationToken)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var streams = await OpenAsync(worker, gateway, OpenFollowers, cancellationToken);
        Console.Write($"  {OpenFollowers} open followers, bytes each: open {PerStream(before)}");
        foreach (var tokens in new[] { 10, 50, 100 })
        {
            while (streams[0].Next <= tokens) await AppendAsync(worker, streams, cancellationToken);
            foreach (var stream in streams) await stream.SeenAsync(tokens);
            Console.Write($", after {tokens} tokens {PerStream(before)}");
        }

        Console.WriteLine();
        var (ours, since) = (Environment.CpuUsage.TotalTime, TimeProvider.System.GetTimestamp());
        await PassAsync(Measured, cancellationToken);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  all silent: {(Environment.CpuUsage.TotalTime - ours) / TimeProvider.System.GetElapsedTime(since):P1} of a core of ours"));
        await EndAsync(worker, streams);
    }

    private static long PerStream(long before) => (GC.GetTotalMemory(forceFullCollection: true) - before) / OpenFollowers;

    private static async Task<BenchmarkStream[]> OpenAsync(RedisRequestLog worker, RedisRequestLog gateway, int count, CancellationToken cancellationToken)
    {
        var head = new LogHead(new ModelName("bench"), Promise.Connection, "gateway", TimeProvider.System.GetUtcNow().AddMinutes(10));
        var streams = new BenchmarkStream[count];
        for (var i = 0; i < count; i++)
        {
            var id = RequestId.New("chatcmpl-");
            await gateway.OpenAsync(id, head, cancellationToken);
            streams[i] = new BenchmarkStream(id, (await worker.BeginAsync(id, 1, Guid.NewGuid(), cancellationToken)).Fence, gateway);
        }

        await AppendAsync(worker, streams, cancellationToken);
        foreach (var stream in streams) await stream.SeenAsync(1);
        return streams;
    }

    private static async Task StepAsync(RedisRequestLog worker, BenchmarkStream[] slots, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested) await AppendAsync(worker, slots, CancellationToken.None);
    }

    private static Task AppendAsync(RedisRequestLog worker, BenchmarkStream[] streams, CancellationToken cancellationToken) => Task.WhenAll(streams.Select(stream => stream.AppendAsync(worker, cancellationToken)));

    private static async Task EndAsync(RedisRequestLog worker, BenchmarkStream[] streams)
    {
        foreach (var stream in streams) await worker.EndAsync(stream.Id, new RequestEvent.Cancelled("The benchmark ended."), CancellationToken.None);
        foreach (var stream in streams) await stream.Following;
    }

    private static async Task PassAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(time, TimeProvider.System);
        await timer.WaitForNextTickAsync(cancellationToken);
    }

    private static RedisConnection Connection(int port) =>
        new(Options.Create(new RedisOptions { Configuration = $"127.0.0.1:{port}", CommandTimeout = TimeSpan.FromSeconds(10) }), TimeProvider.System, NullLogger<RedisConnection>.Instance);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
