using System.Net.Http.Headers;

namespace Serverless.Benchmarks;

/// <summary>The one client of all gateway measurements: the same request again and again over kept connections.</summary>
internal sealed class LoadClient(Uri server, int promptBytes) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 64 }) { BaseAddress = server };
    private readonly byte[] _body = System.Text.Encoding.UTF8.GetBytes(
        $$"""{"model":"{{Servers.Model}}","messages":[{"role":"user","content":"{{new string('x', promptBytes)}}"}]}""");

    /// <summary>One request, its answer in full.</summary>
    public async Task<byte[]> SendAsync()
    {
        using var content = new ByteArrayContent(_body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        using var response = await _http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content);
        var answer = await response.Content.ReadAsByteArrayAsync();
        return response.IsSuccessStatusCode ? answer : throw new InvalidOperationException($"{(int)response.StatusCode}: {System.Text.Encoding.UTF8.GetString(answer)}");
    }

    /// <summary>Median latency in milliseconds of requests one after the other.</summary>
    public async Task<double> LatencyAsync(int requests)
    {
        var times = new double[requests];
        for (var i = 0; i < requests; i++)
        {
            var started = TimeProvider.System.GetTimestamp();
            await SendAsync();
            times[i] = TimeProvider.System.GetElapsedTime(started).TotalMilliseconds;
        }

        return Rounds.Median(times);
    }

    /// <summary>Requests per second at a concurrency.</summary>
    public async Task<double> RateAsync(int requests, int concurrency)
    {
        var left = requests;
        var started = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Decrement(ref left) >= 0) await SendAsync();
        })));
        return requests / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
    }

    public void Dispose() => _http.Dispose();
}
