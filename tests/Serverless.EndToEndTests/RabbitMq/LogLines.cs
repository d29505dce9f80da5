using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>What was logged at Information and above, as a test reads it: waited for, not polled.</summary>
internal sealed class LogLines : ILoggerFactory
{
    private readonly Channel<string> _lines = Channel.CreateBounded<string>(new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly ConcurrentQueue<string> _all = new();

    /// <summary>All lines so far.</summary>
    public IReadOnlyCollection<string> All => _all;

    /// <summary>The next line that holds this text; those before it are passed over.</summary>
    public async Task<string> WaitForAsync(string text)
    {
        var seen = new List<string>();
        try
        {
            while (true)
            {
                var line = await _lines.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
                if (line.Contains(text, StringComparison.Ordinal)) return line;
                seen.Add(line);
            }
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"No line with '{text}' was logged, but: {string.Join('\n', seen)}", exception);
        }
    }

    public ILogger CreateLogger(string categoryName) => new Lines(_lines.Writer, _all);

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public void Dispose()
    {
    }

    private sealed class Lines(ChannelWriter<string> lines, ConcurrentQueue<string> all) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => NullLogger.Instance.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;

            var line = formatter(state, exception);
            all.Enqueue(line);
            lines.TryWrite(line);
        }
    }
}
