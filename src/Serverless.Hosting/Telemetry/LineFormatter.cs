using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Telemetry;

/// <summary>
/// An entry of the log as one line, for people (<c>22:44:52 scale    smollm2-cpu 0 → 1: …</c>) or as JSON. Whatever a message holds, it stays on its line: what clients send must not
/// write lines of its own (<see cref="PlainText"/>). An exception's trace follows, set in, where the category is told at Debug. Thread-safe.
/// </summary>
internal sealed class LineFormatter(IOptionsMonitor<LineFormatterOptions> options, IServiceProvider services, TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "serverless";

    private const string Plain = "\e[0m";
    private const string Dim = "\e[2m";
    private const string Yellow = "\e[33m";
    private const string Red = "\e[31m";
    private const string Cyan = "\e[36m";

    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ConcurrentDictionary<string, bool> _traced = new(StringComparer.Ordinal);

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var message = logEntry.Formatter(logEntry.State, logEntry.Exception);
        if (options.CurrentValue.Json) WriteJson(logEntry, message, textWriter);
        else WriteText(logEntry, message, textWriter);
    }

    private void WriteText<TState>(in LogEntry<TState> entry, string message, TextWriter writer)
    {
        var (coloured, now) = (options.CurrentValue.Colours, time.GetLocalNow());
        Write(writer, now.ToString(options.CurrentValue.Dates ? "yyyy-MM-dd HH:mm:ss" : "HH:mm:ss", CultureInfo.InvariantCulture), coloured ? Dim : null);
        writer.Write(' ');
        Write(writer, LogWords.Of(entry.Category).PadRight(LogWords.Width), coloured ? Cyan : null);
        writer.Write(' ');
        var (name, colour) = entry.LogLevel switch
        {
            LogLevel.Trace or LogLevel.Debug => ("debug: ", Dim),
            LogLevel.Warning => ("warning: ", Yellow),
            LogLevel.Error => ("error: ", Red),
            LogLevel.Critical => ("critical: ", Red),
            _ => ("", Plain),
        };
        Write(writer, name, coloured && name.Length > 0 ? colour : null);
        writer.Write(PlainText.OneLine(entry.Exception is { } exception ? $"{message.TrimEnd('.', ' ')}: {Told(exception)}" : message));
        writer.Write('\n');
        if (entry.Exception is not { } traced || !IsTraced(entry.Category)) return;

        // Set in: what an exception's message says of a client's words is no line of the log.
        foreach (var line in traced.ToString().ReplaceLineEndings("\n").Split('\n')) writer.Write($"    {PlainText.OneLine(line)}\n");
    }

    private void WriteJson<TState>(in LogEntry<TState> entry, string message, TextWriter writer)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Relaxed))
        {
            json.WriteStartObject();
            json.WriteString("time", time.GetUtcNow().UtcDateTime);
            json.WriteString("level", entry.LogLevel.ToString().ToLowerInvariant());
            json.WriteString("part", LogWords.Of(entry.Category));
            json.WriteString("message", message);
            if (entry.State is IReadOnlyList<KeyValuePair<string, object?>> fields) WriteFields(json, fields);
            if (Activity.Current is { } activity) json.WriteString("trace_id", activity.TraceId.ToHexString());
            if (entry.Exception is { } exception)
            {
                json.WriteString("error", Told(exception));
                json.WriteString("error_type", exception.GetType().FullName);
                if (IsTraced(entry.Category)) json.WriteString("stack", exception.ToString());
            }

            json.WriteString("category", entry.Category);
            json.WriteEndObject();
        }

        writer.Write(PlainText.InJson(Encoding.UTF8.GetString(buffer.WrittenSpan)));
        writer.Write('\n');
    }

    private static void WriteFields(Utf8JsonWriter json, IReadOnlyList<KeyValuePair<string, object?>> fields)
    {
        json.WriteStartObject("fields");
        foreach (var (name, value) in fields)
        {
            if (name == "{OriginalFormat}") continue;

            json.WritePropertyName(JsonNamingPolicy.SnakeCaseLower.ConvertName(name));
            switch (value)
            {
                case null: json.WriteNullValue(); break;
                case bool truth: json.WriteBooleanValue(truth); break;
                case int or long or short or byte or uint: json.WriteNumberValue(Convert.ToInt64(value, CultureInfo.InvariantCulture)); break;
                case double number when double.IsFinite(number): json.WriteNumberValue(number); break;
                default: json.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture)); break;
            }
        }

        json.WriteEndObject();
    }

    private static void Write(TextWriter writer, string text, string? colour)
    {
        if (colour is not null) writer.Write(colour);
        writer.Write(text);
        if (colour is not null) writer.Write(Plain);
    }

    /// <summary>What an exception says, and what the one within says if that is something else.</summary>
    private static string Told(Exception exception)
    {
        var innermost = exception.GetBaseException();
        return exception.Message.Contains(innermost.Message, StringComparison.Ordinal) ? exception.Message : $"{exception.Message} ({innermost.Message})";
    }

    /// <summary>Whether the category is told at Debug. The factory makes this formatter, so it is asked for late.</summary>
    private bool IsTraced(string category)
    {
        if (_traced.TryGetValue(category, out var known)) return known;
        try
        {
            return _traced[category] = services.GetRequiredService<ILoggerFactory>().CreateLogger(category).IsEnabled(LogLevel.Debug);
        }
        catch (ObjectDisposedException)
        {
            return false; // the process ends
        }
    }
}

/// <summary>How <see cref="LineFormatter"/> writes.</summary>
internal sealed class LineFormatterOptions : ConsoleFormatterOptions
{
    public bool Json { get; set; }

    public bool Dates { get; set; }

    public bool Colours { get; set; }

    /// <summary>Colours are for a terminal alone, and for nobody who says <c>NO_COLOR</c> (no-color.org).</summary>
    public static bool TerminalHasColours(bool isRedirected, Func<string, string?> environment) =>
        !isRedirected && string.IsNullOrEmpty(environment("NO_COLOR")) && environment("TERM") is not (null or "dumb");
}
