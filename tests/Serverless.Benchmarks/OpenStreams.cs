using System.Net.Http.Headers;

namespace Serverless.Benchmarks;

/// <summary>Many streams of one client, each open and counted: how many events the slowest has had.</summary>
internal sealed class OpenStreams(Uri server, string body) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler()) { BaseAddress = server, Timeout = Timeout.InfiniteTimeSpan };
    private readonly List<long> _seen = [];
    private readonly List<Task> _reading = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource? _waiter;
    private long _wanted;
    private int _behind;

    /// <summary>Opens so many more.</summary>
    public void Open(int count)
    {
        for (var i = 0; i < count; i++)
        {
            lock (_lock) _seen.Add(0);
            _reading.Add(ReadAsync(_seen.Count - 1));
        }
    }

    /// <summary>Completes when every stream has had so many events; faults when one of them ends.</summary>
    public async Task SeenAsync(long events)
    {
        Task seen;
        lock (_lock)
        {
            (_wanted, _behind) = (events, _seen.Count(had => had < events));
            if (_behind == 0) return;
            seen = (_waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }

        if (await Task.WhenAny([seen, .. _reading]) is var first && first != seen)
        {
            await first;
            throw new InvalidOperationException("A stream ended by itself.");
        }
    }

    /// <summary>Closes them all.</summary>
    public async Task CloseAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose()
    {
        _http.Dispose();
        _stop.Dispose();
    }

    private async Task ReadAsync(int stream)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/chat/completions", UriKind.Relative))
        {
            Content = new StringContent(body, System.Text.Encoding.UTF8, new MediaTypeHeaderValue("application/json")),
        };
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, _stop.Token);
        await using var events = await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync(_stop.Token);
        var buffer = new byte[2048];
        while (await events.ReadAsync(buffer, _stop.Token) is > 0 and var read) Count(stream, buffer.AsSpan(0, read).Count("data:"u8));
    }

    private void Count(int stream, int events)
    {
        TaskCompletionSource? waiter = null;
        lock (_lock)
        {
            var before = _seen[stream];
            _seen[stream] = before + events;
            if (before < _wanted && before + events >= _wanted && --_behind == 0) (waiter, _waiter) = (_waiter, null);
        }

        waiter?.SetResult();
    }
}
