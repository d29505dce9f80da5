using Microsoft.Extensions.Logging;
using Serverless.Sessions;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>
/// Looks at an engine five times a second: what its metrics say counts while it is fresh, else what this worker has counted itself. It is lost when its process is, when its health fails for a while, or when it has
/// work and has said nothing for longer than it ever took. Thread-safe.
/// </summary>
internal sealed partial class EngineWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    /// <summary>How often one without metrics is looked at.</summary>
    private static readonly TimeSpan HealthInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SickLimit = TimeSpan.FromSeconds(15);
    private const int LongestMetrics = 4 << 20;
    private const double Smoothing = 0.2;

    private readonly HttpClient _http;
    private readonly EngineLook _look;
    private readonly TimeSpan _leastSilence;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly Task _looking;
    private (EngineSample Sample, long At)? _sample;
    private (double Prefill, double Decode) _rates;
    private long? _healthyAt;
    private long _heardAt;
    private TimeSpan _longestSilence;
    private int _running;
    private long _tokens;
    private int _said;

    /// <param name="http">To the engine.</param>
    /// <param name="look">Where it is looked at.</param>
    /// <param name="exited">Completes when its process is gone; null: it is nobody's here.</param>
    /// <param name="leastSilence">How long an engine with work may say nothing, at least; longer where it has taken longer before.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Told of what it finds.</param>
    public EngineWatch(HttpClient http, EngineLook look, Task? exited, TimeSpan leastSilence, TimeProvider time, ILogger logger)
    {
        (_http, _look, _leastSilence, _time, _logger) = (http, look, leastSilence, time, logger);
        _heardAt = time.GetTimestamp();
        _ = exited?.ContinueWith(_ => _lost.TrySetResult(), TaskScheduler.Default);
        _looking = Task.Run(LookAsync, CancellationToken.None);
    }

    /// <summary>Completes when it can serve no more.</summary>
    public Task Lost => _lost.Task;

    public WorkerLoad Load
    {
        get
        {
            lock (_lock)
            {
                var isFresh = _sample is { } seen && _time.GetElapsedTime(seen.At) < Fresh;
                var sample = isFresh ? _sample!.Value.Sample : default;
                return new WorkerLoad(Math.Max(_running, (sample.Running ?? 0) + (sample.Waiting ?? 0)), sample.KvUsedTokens ?? (long?)(sample.KvUsedShare * _look.KvTokens) ?? _tokens, _rates.Prefill, _rates.Decode);
            }
        }
    }

    /// <summary>A request runs until it is disposed of.</summary>
    public EngineRun Run(int promptTokens)
    {
        lock (_lock)
        {
            if (_running++ == 0) _heardAt = _time.GetTimestamp();
            _tokens += promptTokens;
        }

        return new EngineRun(this, promptTokens);
    }

    /// <summary>It said something.</summary>
    public void Heard()
    {
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            var silence = _time.GetElapsedTime(_heardAt, now);
            if (silence > _longestSilence) _longestSilence = silence;
            _heardAt = now;
        }
    }

    internal void Count(int tokens)
    {
        lock (_lock)
        {
            _tokens += tokens;
            _said += tokens;
        }
    }

    internal void End(int tokens)
    {
        lock (_lock)
        {
            _running--;
            _tokens -= tokens;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task LookAsync()
    {
        using var timer = new PeriodicTimer(Interval, _time);
        long? sickSince = null;
        do
        {
            try
            {
                await LookOnceAsync();
                sickSince = null;
            }
            catch (Exception exception) when (!_stop.IsCancellationRequested)
            {
                sickSince ??= _time.GetTimestamp();
                if (_time.GetElapsedTime(sickSince.Value) >= SickLimit && _lost.TrySetResult()) LogSick(_look.Dialect.Name, SickLimit.TotalSeconds, exception.Message);
            }

            if (IsHung() && _lost.TrySetResult()) LogHung(_look.Dialect.Name, Limit.TotalSeconds);
        }
        while (await timer.WaitForNextTickAsync(_stop.Token));
    }

    private async Task LookOnceAsync()
    {
        if (_look is { HasMetrics: true, Dialect.MetricsPath: { } path })
        {
            Note(_look.Dialect.Read(PrometheusText.Parse(await GetAsync(path))));
            return;
        }

        if (_healthyAt is { } last && _time.GetElapsedTime(last) < HealthInterval) return;

        await GetAsync(_look.Dialect.HealthPath);
        _healthyAt = _time.GetTimestamp();
        Note(default);
    }

    private TimeSpan Limit => _leastSilence > _longestSilence * 5 ? _leastSilence : _longestSilence * 5;

    private bool IsHung()
    {
        lock (_lock) return _running > 0 && _time.GetElapsedTime(_heardAt) > Limit;
    }

    private void Note(EngineSample sample)
    {
        lock (_lock)
        {
            var now = _time.GetTimestamp();
            if (_sample is { } before && _time.GetElapsedTime(before.At, now).TotalSeconds is > 0 and var elapsed)
            {
                var prompting = sample.PromptSeconds is null ? elapsed : sample.PromptSeconds - before.Sample.PromptSeconds;
                _rates = (Rate(_rates.Prefill, prompting > 0 ? (sample.PromptTokens - before.Sample.PromptTokens) / prompting : null), Rate(_rates.Decode, _said / elapsed));
            }

            _said = 0;

            _sample = (sample, now);
        }
    }

    /// <summary>Of times in which there was something to do.</summary>
    private static double Rate(double old, double? measured) => measured is not > 0 ? old : old <= 0 ? measured.Value : old + (Smoothing * (measured.Value - old));

    private async Task<string> GetAsync(string path)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(CallLimit);
        using var response = await _http.GetAsync(new Uri(path.TrimStart('/'), UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, limit.Token);
        response.EnsureSuccessStatusCode();
        await using var stream = await response.Content.ReadAsStreamAsync(limit.Token);
        using var text = new MemoryStream();
        var buffer = new byte[16 * 1024];
        for (int read; (read = await stream.ReadAsync(buffer, limit.Token)) > 0;)
        {
            if (text.Length + read > LongestMetrics) throw new EngineAnswerException($"its answer to {path} is longer than {LongestMetrics} bytes, the limit");
            text.Write(buffer, 0, read);
        }

        return System.Text.Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length);
    }

    [LoggerMessage(LogLevel.Error, "Engine {Engine} has not answered for {Seconds} s and is taken for lost: {Reason}")]
    private partial void LogSick(string engine, double seconds, string reason);

    [LoggerMessage(LogLevel.Error, "Engine {Engine} has work and has said nothing for {Seconds:F0} s; it hangs and is taken for lost.")]
    private partial void LogHung(string engine, double seconds);
}

/// <summary>Where an engine is looked at.</summary>
/// <param name="Dialect">Its.</param>
/// <param name="HasMetrics">Whether its metrics are there; else its health is asked.</param>
/// <param name="KvTokens">Tokens that its KV cache holds.</param>
internal sealed record EngineLook(EngineDialect Dialect, bool HasMetrics, long KvTokens);

/// <summary>A request in an engine, for what the worker counts itself.</summary>
internal sealed class EngineRun(EngineWatch watch, int promptTokens) : IDisposable
{
    private int _tokens = promptTokens;

    public void Said(int tokens)
    {
        _tokens += tokens;
        watch.Count(tokens);
    }

    public void Dispose() => watch.End(_tokens);
}
