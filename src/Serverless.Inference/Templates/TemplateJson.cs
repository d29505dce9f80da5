using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Serverless.Inference.Templates;

/// <summary>Values written out: as JSON the way Python's <c>json.dumps(ensure_ascii=False)</c> writes it, or as Python shows them.</summary>
internal static class TemplateJson
{
    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>JSON; data, since it may hold some.</summary>
    public static TemplateText Write(object? value, int? indent)
    {
        var output = new StringBuilder();
        Write(value, output, indent, 0, python: false);
        return TemplateText.OfData(output.ToString());
    }

    /// <summary>Python's <c>str()</c> of a list or map.</summary>
    public static TemplateText Python(object? value)
    {
        var output = new StringBuilder();
        Write(value, output, null, 0, python: true);
        return TemplateText.OfData(output.ToString());
    }

    private static void Write(object? value, StringBuilder output, int? indent, int depth, bool python)
    {
        if (depth > 64) throw new TemplateException("A value is nested deeper than 64.");

        switch (value)
        {
            case null or Undefined:
                output.Append(python ? "None" : "null");
                break;
            case bool flag:
                output.Append((flag, python) switch { (true, true) => "True", (false, true) => "False", (true, false) => "true", _ => "false" });
                break;
            case TemplateText text:
                output.Append(python ? Quote(text.Value) : JsonSerializer.Serialize(text.Value, Relaxed));
                break;
            case GeneratedList when !python:
                throw new TemplateException("The result of a filter is written as JSON; make it a list first.");
            case List<object?> list:
                Items(list.Count, '[', ']', output, indent, depth, index => Write(list[index], output, indent, depth + 1, python));
                break;
            case OrderedDictionary<string, object?> map:
                Items(map.Count, '{', '}', output, indent, depth, index =>
                {
                    var (key, item) = map.GetAt(index);
                    output.Append(python ? Quote(key) : JsonSerializer.Serialize(key, Relaxed)).Append(": ");
                    Write(item, output, indent, depth + 1, python);
                });
                break;
            case IFormattable or TemplateCall:
                output.Append(value is TemplateCall ? "<function>" : Values.Text(value).Value);
                break;
            default:
                output.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
        }
    }

    private static void Items(int count, char open, char close, StringBuilder output, int? indent, int depth, Action<int> write)
    {
        output.Append(open);
        for (var i = 0; i < count; i++)
        {
            if (i > 0) output.Append(indent is null ? ", " : ",");
            if (indent is { } width) output.Append('\n').Append(' ', width * (depth + 1));
            write(i);
        }

        if (indent is { } last && count > 0) output.Append('\n').Append(' ', last * depth);
        output.Append(close);
    }

    private static string Quote(string text) =>
        text.Contains('\'') && !text.Contains('"') ? $"\"{text}\"" : $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}'";
}
