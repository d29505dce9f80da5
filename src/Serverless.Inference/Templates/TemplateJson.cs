using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Serverless.Inference.Templates;

/// <summary>Values written out: as JSON the way Python's <c>json.dumps(ensure_ascii=False)</c> writes it, or as Python shows them.</summary>
internal sealed class TemplateJson
{
    private const int MaxDepth = 64;
    private const int MaxIndent = 32;

    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly TemplateBudget _budget;
    private readonly StringBuilder _output = new();
    private readonly int? _indent;
    private readonly bool _python;

    private TemplateJson(TemplateBudget budget, int? indent, bool python)
    {
        (_budget, _indent, _python) = (budget, indent, python);
    }

    /// <summary>JSON; data, since it may hold some.</summary>
    public static TemplateText Write(TemplateBudget budget, object? value, long? indent) =>
        new TemplateJson(budget, indent is { } width ? (int)Math.Clamp(width, 0, MaxIndent) : null, python: false).Write(value);

    /// <summary>Python's <c>str()</c> of a list or map.</summary>
    public static TemplateText Python(TemplateBudget budget, object? value) => new TemplateJson(budget, null, python: true).Write(value);

    private TemplateText Write(object? value)
    {
        Write(value, 0);
        _budget.PayText(_output.Length);
        return TemplateText.OfData(_output.ToString());
    }

    private void Write(object? value, int depth)
    {
        _budget.Step();
        if (depth > MaxDepth) throw _budget.Fault($"a value is nested deeper than {MaxDepth}");

        switch (value)
        {
            case null or Undefined or NoContent:
                Append(_python ? "None" : "null");
                break;
            case bool flag:
                Append((flag, _python) switch { (true, true) => "True", (false, true) => "False", (true, false) => "true", _ => "false" });
                break;
            case TemplateText text:
                Quote(text.Value);
                break;
            case GeneratedList when !_python:
                throw _budget.Fault("the result of a filter is written as JSON; make it a list first");
            case List<object?> list:
                _output.Append('[');
                for (var i = 0; i < list.Count; i++)
                {
                    Part(i, depth + 1);
                    Write(list[i], depth + 1);
                }

                Close(list.Count, ']', depth);
                break;
            case OrderedDictionary<string, object?> map:
                _output.Append('{');
                for (var i = 0; i < map.Count; i++)
                {
                    var (key, item) = map.GetAt(i);
                    Part(i, depth + 1);
                    Quote(key);
                    Append(": ");
                    Write(item, depth + 1);
                }

                Close(map.Count, '}', depth);
                break;
            case double number:
                Append(Values.Number(number));
                break;
            case IFormattable number:
                Append(number.ToString(null, CultureInfo.InvariantCulture));
                break;
            default:
                Append("<function>");
                break;
        }
    }

    private void Part(int index, int depth)
    {
        if (index > 0) Append(_indent is null ? ", " : ",");
        Break(depth);
    }

    private void Close(int count, char close, int depth)
    {
        if (count > 0) Break(depth);
        _output.Append(close);
    }

    private void Break(int depth)
    {
        if (_indent is not { } width) return;
        _budget.Pay(2L * width * depth);
        _output.Append('\n').Append(' ', width * depth);
    }

    private void Quote(string text)
    {
        _budget.Pay(16L * text.Length); // at worst each character is six, and all are copied three times
        if (!_python) Append(JsonSerializer.Serialize(text, Relaxed));
        else if (text.Contains('\'') && !text.Contains('"')) Append($"\"{text}\"");
        else Append($"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}'");
    }

    private void Append(string text)
    {
        _budget.Pay(4 * text.Length);
        _output.Append(text);
    }
}
