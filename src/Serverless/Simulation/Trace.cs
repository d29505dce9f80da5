using System.Globalization;
using System.Text.Json;

namespace Serverless.Simulation;

/// <summary>A recorded load: requests in order of arrival. Immutable.</summary>
/// <param name="Name">What it is called in tables.</param>
/// <param name="Requests">In order of arrival; the first at 0 or later.</param>
public sealed record Trace(string Name, IReadOnlyList<TraceRequest> Requests)
{
    /// <summary>Seconds from its beginning to its last arrival; 0 when it is empty.</summary>
    public double Seconds => Requests.Count == 0 ? 0 : Requests[^1].At;

    /// <summary>
    /// Reads Azure's CSV (<c>TIMESTAMP,ContextTokens,GeneratedTokens</c>) or Mooncake's JSON lines (<c>timestamp</c> in ms, <c>input_length</c>, <c>output_length</c>), told apart by the
    /// first character. Empty lines are skipped.
    /// </summary>
    /// <exception cref="FormatException">A line is neither; the message names it.</exception>
    public static Trace Read(string name, TextReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        List<(double At, int Prompt, int Output)> rows = [];
        for (var (line, number) = (reader.ReadLine(), 1); line is not null; line = reader.ReadLine(), number++)
        {
            if (string.IsNullOrWhiteSpace(line) || (number == 1 && line.StartsWith("TIMESTAMP", StringComparison.OrdinalIgnoreCase))) continue;

            var row = line.TrimStart().StartsWith('{') ? Json(line) : Csv(line);
            rows.Add(row ?? throw new FormatException($"Line {number} of trace '{name}' is '{line[..Math.Min(line.Length, 80)]}'; it must be TIMESTAMP,ContextTokens,GeneratedTokens or a JSON object with timestamp, input_length and output_length."));
        }

        rows.Sort((left, right) => left.At.CompareTo(right.At));
        var start = rows.Count == 0 ? 0 : rows[0].At;
        return new Trace(name, [.. rows.Select(row => new TraceRequest(row.At - start, Math.Max(1, row.Prompt), Math.Max(1, row.Output)))]);
    }

    /// <summary>The part that arrives from <paramref name="from"/> seconds on and before <paramref name="to"/>, its clock set to zero at <paramref name="from"/>.</summary>
    public Trace Slice(double from, double to) =>
        new(Name, [.. Requests.Where(request => request.At >= from && request.At < to).Select(request => request with { At = request.At - from })]);

    private static (double At, int Prompt, int Output)? Csv(string line)
    {
        var fields = line.Split(',');
        if (fields.Length < 3 || !int.TryParse(fields[1], CultureInfo.InvariantCulture, out var prompt) || !int.TryParse(fields[2], CultureInfo.InvariantCulture, out var output)) return null;
        if (double.TryParse(fields[0], CultureInfo.InvariantCulture, out var seconds)) return (seconds, prompt, output);

        return DateTimeOffset.TryParse(fields[0], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? ((at - DateTimeOffset.UnixEpoch).TotalSeconds, prompt, output)
            : null;
    }

    private static (double At, int Prompt, int Output)? Json(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var row = document.RootElement;
            return (row.GetProperty("timestamp").GetDouble() / 1000, row.GetProperty("input_length").GetInt32(), row.GetProperty("output_length").GetInt32());
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
