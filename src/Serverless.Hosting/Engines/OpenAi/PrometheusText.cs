using System.Globalization;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>Samples of Prometheus' text format. What cannot be read is passed over; <c>_created</c> series, which are no values, too. Immutable.</summary>
internal sealed class PrometheusText
{
    private const int MostSamples = 20_000;

    private readonly Dictionary<string, List<MetricSample>> _samples = new(StringComparer.Ordinal);

    private PrometheusText()
    {
    }

    public static PrometheusText Parse(string text)
    {
        var metrics = new PrometheusText();
        var count = 0;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            if (line.IsEmpty || line[0] == '#' || MetricSample.Read(line) is not { } sample || sample.Name.EndsWith("_created", StringComparison.Ordinal)) continue;
            if (++count > MostSamples) break;
            if (!metrics._samples.TryGetValue(sample.Name, out var same)) metrics._samples[sample.Name] = same = [];
            same.Add(sample);
        }

        return metrics;
    }

    /// <summary>The series of the first of these names that is there; engines rename theirs.</summary>
    public IReadOnlyList<MetricSample> Of(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (_samples.TryGetValue(name, out var samples)) return samples;
        }

        return [];
    }

    /// <summary>Their sum; null: there are none.</summary>
    public double? Sum(params ReadOnlySpan<string> names) => Of(names) is { Count: > 0 } samples ? samples.Sum(sample => sample.Value) : null;

    /// <summary>The largest; null: there are none. For engines that say the same once for each rank.</summary>
    public double? Max(params ReadOnlySpan<string> names) => Of(names) is { Count: > 0 } samples ? samples.Max(sample => sample.Value) : null;
}

/// <summary>One sample.</summary>
/// <param name="Name">Of its metric.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Value">A finite number.</param>
internal sealed record MetricSample(string Name, IReadOnlyDictionary<string, string> Labels, double Value)
{
    private static readonly Dictionary<string, string> None = [];

    /// <summary>A label as a whole number; null: it is none.</summary>
    public long? Number(string label) => Labels.TryGetValue(label, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>Null: it is none, or no finite number.</summary>
    public static MetricSample? Read(ReadOnlySpan<char> line)
    {
        var end = line.IndexOfAny('{', ' ', '\t');
        if (end <= 0) return null;

        var name = line[..end].ToString();
        var rest = line[end..];
        var labels = None;
        if (rest[0] == '{')
        {
            labels = new Dictionary<string, string>(StringComparer.Ordinal);
            if (!TryReadLabels(rest[1..], labels, out rest)) return null;
        }

        rest = rest.Trim();
        var space = rest.IndexOfAny(' ', '\t');
        if (space > 0) rest = rest[..space]; // a time stands behind it
        return double.TryParse(rest, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && double.IsFinite(value) ? new MetricSample(name, labels, value) : null;
    }

    private static bool TryReadLabels(ReadOnlySpan<char> text, Dictionary<string, string> labels, out ReadOnlySpan<char> rest)
    {
        rest = default;
        while (true)
        {
            text = text.TrimStart(" ,\t");
            if (text.IsEmpty) return false;
            if (text[0] == '}')
            {
                rest = text[1..];
                return true;
            }

            var equals = text.IndexOf('=');
            if (equals <= 0 || equals + 1 >= text.Length || text[equals + 1] != '"') return false;

            var name = text[..equals].Trim().ToString();
            var value = new System.Text.StringBuilder();
            var at = equals + 2;
            for (; at < text.Length && text[at] != '"'; at++)
            {
                if (text[at] != '\\' || at + 1 == text.Length)
                {
                    value.Append(text[at]);
                    continue;
                }

                value.Append(text[++at] == 'n' ? '\n' : text[at]);
            }

            if (at >= text.Length) return false;
            labels[name] = value.ToString();
            text = text[(at + 1)..];
        }
    }
}
