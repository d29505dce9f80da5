using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Serverless.FunctionalTests.Loading;

/// <summary>A server of files over real sockets, with ranges as RFC 9110 has them, that misbehaves as a test says. It is the faked faces of Hugging Face, ModelScope and Ollama too, by the paths that they have.</summary>
internal sealed class ModelServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private long _sent;

    private ModelServer(WebApplication app) => _app = app;

    /// <summary>Files by their paths.</summary>
    public ConcurrentDictionary<string, ServedFile> Files { get; } = new(StringComparer.Ordinal);

    /// <summary>Documents by their paths, and what is behind the question mark left out.</summary>
    public ConcurrentDictionary<string, string> Documents { get; } = new(StringComparer.Ordinal);

    /// <summary>Asked before an answer is made; true: it is made already.</summary>
    public Func<HttpContext, Task<bool>> Before { get; set; } = static _ => Task.FromResult(false);

    /// <summary>How many bytes of an answer are sent before the connection is broken; null: all.</summary>
    public Func<HttpContext, long, long?> BreaksAfter { get; set; } = static (_, _) => null;

    /// <summary>Bytes of files that were sent.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>All that was asked: path, range, authorization.</summary>
    public ConcurrentQueue<(string Path, string Range, string Authorization)> Requests { get; } = new();

    public Uri Address { get; private set; } = null!;

    public static async Task<ModelServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var server = new ModelServer(builder.Build());
        server._app.Run(server.AnswerAsync);
        await server._app.StartAsync(TestContext.Current.CancellationToken);
        server.Address = new Uri(server._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        return server;
    }

    /// <summary>A file of random bytes.</summary>
    public byte[] Add(string path, int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        Files[path] = new ServedFile(bytes);
        return bytes;
    }

    public Uri At(string path) => new(Address, path);

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext http)
    {
        var path = http.Request.Path.Value!;
        Requests.Enqueue((path, http.Request.Headers.Range.ToString(), http.Request.Headers.Authorization.ToString()));
        if (await Before(http)) return;

        if (Documents.TryGetValue(path, out var document))
        {
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(document, http.RequestAborted);
        }
        else if (Files.TryGetValue(path, out var file))
        {
            await SendAsync(http, file);
        }
        else
        {
            http.Response.StatusCode = 404;
        }
    }

    private async Task SendAsync(HttpContext http, ServedFile file)
    {
        var (response, bytes) = (http.Response, file.Bytes);
        if (file.ETag is { } tag) response.Headers.ETag = tag;
        var (from, to) = (0L, (long)bytes.Length);
        var wanted = http.Request.GetTypedHeaders().Range?.Ranges.SingleOrDefault();
        var isOfThese = http.Request.Headers.IfRange.ToString() is not { Length: > 0 } condition || condition == file.ETag;
        if (file.HasRanges && wanted is not null && isOfThese)
        {
            if (wanted.From >= bytes.Length)
            {
                response.StatusCode = 416;
                response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{bytes.Length}");
                return;
            }

            (from, to) = (wanted.From!.Value, Math.Min(wanted.To + 1 ?? to, to));
            response.StatusCode = 206;
            response.Headers.ContentRange = file.Lies ?? string.Create(CultureInfo.InvariantCulture, $"bytes {from}-{to - 1}/{bytes.Length}");
        }

        if (!file.IsChunked) response.ContentLength = to - from;
        response.ContentType = file.ContentType;
        await response.StartAsync(http.RequestAborted);
        var end = BreaksAfter(http, to - from) is { } most ? Math.Min(to, from + most) : to;
        for (var at = from; at < end;)
        {
            var next = Math.Min(end, at + 65_536);
            await response.Body.WriteAsync(bytes.AsMemory((int)at, (int)(next - at)), http.RequestAborted);
            Interlocked.Add(ref _sent, next - at);
            at = next;
        }

        if (end == to) return;
        await response.Body.FlushAsync(http.RequestAborted);
        http.Abort();
    }
}

/// <summary>A file, and how it is served.</summary>
internal sealed record ServedFile(byte[] Bytes)
{
    public string? ETag { get; init; } = $"\"{Convert.ToHexStringLower(SHA256.HashData(Bytes))[..16]}\"";

    public bool HasRanges { get; init; } = true;

    public bool IsChunked { get; init; }

    public string ContentType { get; init; } = "application/octet-stream";

    /// <summary>What it says as <c>Content-Range</c> instead of the truth.</summary>
    public string? Lies { get; init; }
}
