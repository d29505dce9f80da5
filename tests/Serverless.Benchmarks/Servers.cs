using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Cli.Embedded;

namespace Serverless.Benchmarks;

/// <summary>The servers that benchmarks start as processes of their own.</summary>
internal static class Servers
{
    public const string Model = "zero-cost";

    private const string Manifests = $"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata:
          name: {Model}
        spec:
          familyName: simulated
          source:
            uri: simulated://zero
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata:
          name: {Model}
        spec:
          modelClaim:
            modelName: {Model}
          elasticConfig:
            minReplicas: 1
            maxReplicas: 1
        """;

    /// <summary>The whole embedded path with an engine that costs nothing.</summary>
    public static async Task EmbeddedAsync()
    {
        var folder = Directory.CreateTempSubdirectory("serverless-bench");
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "zero-cost.yaml"), Manifests);
        await using var host = EmbeddedHost.Build(new EmbeddedOptions { Port = 0, Manifests = folder.FullName, Quiet = true });
        await RunAsync(host);
        folder.Delete(recursive: true);
    }

    /// <summary>The same with a place for files, and limits lifted to a million lines.</summary>
    public static async Task BatchesAsync()
    {
        Environment.SetEnvironmentVariable("Gateway__Batches__MaxLines", "1000000");
        Environment.SetEnvironmentVariable("Files__MaxFileBytes", "1000000000");
        var folder = Directory.CreateTempSubdirectory("serverless-bench");
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "zero-cost.yaml"), Manifests);
        var data = folder.CreateSubdirectory("data");
        await using (var host = EmbeddedHost.Build(new EmbeddedOptions { Port = 0, Manifests = folder.FullName, Data = data.FullName, Quiet = true })) await RunAsync(host);
        folder.Delete(recursive: true);
    }

    /// <summary>The whole embedded path with the model of the clone.</summary>
    public static async Task ShippedAsync()
    {
        var data = Directory.CreateTempSubdirectory("serverless-bench");
        await using (var host = EmbeddedHost.Build(new EmbeddedOptions { Port = 0, Data = data.FullName, Quiet = true })) await RunAsync(host);
        data.Delete(recursive: true);
    }

    /// <summary>Kestrel alone, answering with the bytes it was given.</summary>
    public static async Task BareAsync(string bodyFile)
    {
        var body = await File.ReadAllBytesAsync(bodyFile);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        await using var host = builder.Build();
        host.Run(async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
        });
        await RunAsync(host);
    }

    /// <summary>Bytes a second of a connection that is limited.</summary>
    public const long FileRate = 16 << 20;

    /// <summary>Files of zeros with ranges: <c>/free/BYTES/NAME</c> as fast as it goes, <c>/limited/BYTES/NAME</c> each answer at <see cref="FileRate"/>.</summary>
    public static async Task FilesAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        await using var host = builder.Build();
        var zeros = new byte[1 << 20];
        host.Run(async context =>
        {
            var path = context.Request.Path.Value!.Split('/');
            var length = long.Parse(path[2], System.Globalization.CultureInfo.InvariantCulture);
            var range = System.Net.Http.Headers.RangeHeaderValue.TryParse(context.Request.Headers.Range, out var wanted) ? wanted.Ranges.First() : null;
            var (from, to) = (range?.From ?? 0, Math.Min(range?.To + 1 ?? length, length));
            context.Response.Headers.ETag = "\"zeros\"";
            context.Response.ContentLength = to - from;
            if (range is not null) (context.Response.StatusCode, context.Response.Headers.ContentRange) = (206, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"bytes {from}-{to - 1}/{length}"));
            using var pace = new PeriodicTimer(TimeSpan.FromSeconds(zeros.Length / (double)FileRate), TimeProvider.System);
            for (var at = from; at < to; at += zeros.Length)
            {
                await context.Response.Body.WriteAsync(zeros.AsMemory(0, (int)Math.Min(zeros.Length, to - at)), context.RequestAborted);
                if (path[1] == "limited") await pace.WaitForNextTickAsync(context.RequestAborted);
            }
        });
        await RunAsync(host);
    }

    private static async Task RunAsync(WebApplication host)
    {
        await host.StartAsync(CancellationToken.None);
        Console.WriteLine(host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        while (await Console.In.ReadLineAsync(CancellationToken.None) is not null)
        {
        }

        await host.StopAsync(CancellationToken.None);
    }
}
