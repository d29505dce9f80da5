using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Telemetry;
using Shouldly;

namespace Serverless.Tests.Telemetry;

public sealed class LineFormatterTests
{
    private const string Category = "Serverless.Scaler.Keda.ScaleLog";

    private readonly TestClock _time = new(new DateTimeOffset(2026, 11, 29, 22, 44, 52, TimeSpan.Zero));

    [Fact]
    public void A_line_has_the_time_a_short_word_and_the_message_and_nothing_else()
    {
        Write(LogLevel.Information, "smollm2-cpu 0 → 1: 37 prompt tokens pending").ShouldBe("22:44:52 scale    smollm2-cpu 0 → 1: 37 prompt tokens pending\n");
        Write(LogLevel.Warning, "It is away.").ShouldBe("22:44:52 scale    warning: It is away.\n");
        Write(LogLevel.Debug, "detail").ShouldBe("22:44:52 scale    debug: detail\n");
        Write(LogLevel.Information, "later", options: new LineFormatterOptions { Dates = true }).ShouldBe("2026-11-29 22:44:52 scale    later\n");
    }

    [Fact]
    public void An_exception_is_its_message_on_the_same_line_and_its_trace_at_debug_alone()
    {
        var thrown = Should.Throw<InvalidOperationException>(() => throw new InvalidOperationException("It broke.", new IOException("disk\nfull")));

        Write(LogLevel.Error, "Request r failed.", thrown).ShouldBe("22:44:52 scale    error: Request r failed: It broke. (disk full)\n");
        var traced = Write(LogLevel.Error, "Request r failed.", thrown, level: LogLevel.Debug).Split('\n');
        traced[0].ShouldBe("22:44:52 scale    error: Request r failed: It broke. (disk full)");
        string.Join('\n', traced[1..]).ShouldContain(nameof(An_exception_is_its_message_on_the_same_line_and_its_trace_at_debug_alone));
    }

    [Fact]
    public void What_a_client_sends_stays_on_its_line_and_colours_nothing() =>
        Write(LogLevel.Information, "model 'a\n22:44:53 keys     all is well\e[31m'").ShouldBe("22:44:52 scale    model 'a 22:44:53 keys     all is well [31m'\n");

    [Fact]
    public void What_turns_or_breaks_a_line_unseen_is_left_out_and_in_json_can_be_seen()
    {
        Write(LogLevel.Information, "model 'a\u202eb\u2028c\u2029d\u0085e\u200bf'").ShouldBe("22:44:52 scale    model 'ab c d ef'\n");

        var json = Write(LogLevel.Information, "model 'a\u202eb → \U000e0041'", options: new LineFormatterOptions { Json = true });
        json.ShouldContain("""model 'a\u202eb → \udb40\udc41'""");
        JsonDocument.Parse(json).RootElement.GetProperty("message").GetString().ShouldBe("model 'a\u202eb → \U000e0041'");
    }

    [Fact]
    public void Lines_of_a_trace_are_set_in_and_colour_nothing()
    {
        var thrown = Should.Throw<InvalidOperationException>(() => throw new InvalidOperationException("No 'x\n22:44:53 keys     all is well\e[31m'."));

        var lines = Write(LogLevel.Error, "It failed.", thrown, level: LogLevel.Debug).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        lines.Length.ShouldBeGreaterThan(2);
        lines[1..].ShouldAllBe(line => line.StartsWith("    "));
        string.Concat(lines).ShouldNotContain("\e");
    }

    [Fact]
    public void Colours_are_for_terminals_without_NO_COLOR()
    {
        LineFormatterOptions.TerminalHasColours(isRedirected: false, name => name == "TERM" ? "xterm" : null).ShouldBeTrue();
        LineFormatterOptions.TerminalHasColours(isRedirected: true, name => name == "TERM" ? "xterm" : null).ShouldBeFalse();
        LineFormatterOptions.TerminalHasColours(isRedirected: false, name => name == "TERM" ? "dumb" : null).ShouldBeFalse();
        LineFormatterOptions.TerminalHasColours(isRedirected: false, name => name == "TERM" ? "xterm" : "1").ShouldBeFalse();

        Write(LogLevel.Error, "no", options: new LineFormatterOptions { Colours = true }).ShouldBe("\e[2m22:44:52\e[0m \e[36mscale   \e[0m \e[31merror: \e[0mno\n");
        Write(LogLevel.Information, "yes", options: new LineFormatterOptions { Colours = true }).ShouldBe("\e[2m22:44:52\e[0m \e[36mscale   \e[0m yes\n");
    }

    [Fact]
    public void Json_is_one_object_a_line_with_the_values_of_the_message()
    {
        var json = new LineFormatterOptions { Json = true };

        using var services = Services(LogLevel.Information);
        var entry = new Dictionary<string, object?>(StringComparer.Ordinal) { ["Replica"] = "r-0", ["Seconds"] = 1.5, ["PendingTokens"] = 37L, ["{OriginalFormat}"] = "…" }.ToList();
        var writer = new StringWriter();
        Formatter(json, services).Write(new LogEntry<IReadOnlyList<KeyValuePair<string, object?>>>(LogLevel.Warning, Category, default, entry, new IOException("full"), (_, _) => "two\nlines → \"x\""), null, writer);

        writer.ToString().ShouldBe(
            """{"time":"2026-11-29T22:44:52Z","level":"warning","part":"scale","message":"two\nlines → \"x\"","fields":{"replica":"r-0","seconds":1.5,"pending_tokens":37},"error":"full","error_type":"System.IO.IOException","category":"Serverless.Scaler.Keda.ScaleLog"}""" + "\n");
    }

    private string Write(LogLevel entryLevel, string message, Exception? exception = null, LineFormatterOptions? options = null, LogLevel level = LogLevel.Information)
    {
        using var services = Services(level);
        var writer = new StringWriter();
        Formatter(options ?? new LineFormatterOptions(), services).Write(new LogEntry<string>(entryLevel, Category, default, message, exception, (state, _) => state), null, writer);
        return writer.ToString();
    }

    private static ServiceProvider Services(LogLevel level) => new ServiceCollection().AddLogging(logging => logging.SetMinimumLevel(level).AddProvider(new Anything())).BuildServiceProvider();

    private LineFormatter Formatter(LineFormatterOptions options, IServiceProvider services) => new(new Fixed(options), services, _time);

    private sealed class Fixed(LineFormatterOptions options) : IOptionsMonitor<LineFormatterOptions>
    {
        public LineFormatterOptions CurrentValue => options;

        public LineFormatterOptions Get(string? name) => options;

        public IDisposable? OnChange(Action<LineFormatterOptions, string?> listener) => null;
    }

    private sealed class Anything : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
        }

        public void Dispose()
        {
        }
    }
}
