using System.Globalization;

namespace Serverless.Inference.Templates;

/// <summary>Python's two ways to put values into a text: <c>'%s: %d' % (a, b)</c>, which is Jinja's filter <c>format</c> too, and <c>'{}: {name}'.format(a, name=b)</c>.</summary>
internal static class TemplateFormat
{
    private const int MaxWidth = 1000;

    /// <summary>By per cent signs.</summary>
    public static TemplateText Percent(TemplateBudget budget, TemplateText format, IReadOnlyList<object?> arguments, IDictionary<string, object?>? named)
    {
        var parts = new List<TemplateText>();
        var (text, next, at) = (format.Value, 0, 0);
        while (at < text.Length)
        {
            var sign = text.IndexOf('%', at);
            if (sign < 0) break;

            parts.Add(Piece(budget, format, at, sign));
            at = sign + 1;
            object? value = null;
            var isNamed = at < text.Length && text[at] == '(';
            if (isNamed)
            {
                var close = text.IndexOf(')', at);
                if (close < 0) throw budget.Fault("a format's name does not end");
                value = named is not null && named.TryGetValue(text[(at + 1)..close], out var found) ? found : throw budget.Fault($"a format names '{Short(text[(at + 1)..close])}', which is not given");
                at = close + 1;
            }

            var start = at;
            while (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] is '-' or '+' or ' ' or '.' or '#')) at++;
            if (at >= text.Length) throw budget.Fault("a format ends within a place");

            var kind = text[at++];
            if (kind == '%')
            {
                parts.Add(TemplateText.Of("%"));
                continue;
            }

            if (!isNamed) value = next < arguments.Count ? arguments[next++] : throw budget.Fault($"a format has more places than the {arguments.Count} values given");
            var spec = text[start..(at - 1)];
            parts.Add(Value(budget, value, kind, spec.TrimStart('-', '+', ' ', '#'), left: spec.StartsWith('-')));
        }

        parts.Add(Piece(budget, format, at, text.Length));
        return TemplateText.Concat(budget, [.. parts]);
    }

    /// <summary>By braces.</summary>
    public static TemplateText Braces(TemplateBudget budget, TemplateText format, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named)
    {
        var parts = new List<TemplateText>();
        var (text, next, at) = (format.Value, 0, 0);
        while (at < text.Length)
        {
            var brace = text.AsSpan(at).IndexOfAny('{', '}');
            if (brace < 0) break;

            parts.Add(Piece(budget, format, at, at + brace));
            at += brace;
            if (at + 1 < text.Length && text[at + 1] == text[at])
            {
                parts.Add(format.Slice(budget, at, 1));
                at += 2;
                continue;
            }

            var close = text[at] == '{' ? text.IndexOf('}', at) : -1;
            if (close < 0) throw budget.Fault("a format's braces do not match");

            var (name, spec) = text[(at + 1)..close].Split(':', 2) is [var before, var after] ? (before, after) : (text[(at + 1)..close], "");
            parts.Add(Spec(budget, Find(budget, name, arguments, named, ref next), spec));
            at = close + 1;
        }

        parts.Add(Piece(budget, format, at, text.Length));
        return TemplateText.Concat(budget, [.. parts]);
    }

    private static object? Find(TemplateBudget budget, string name, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, ref int next)
    {
        if (name.Length == 0) name = next++.ToString(CultureInfo.InvariantCulture);
        if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < arguments.Count) return arguments[index];
        return named.TryGetValue(name, out var value) ? value : throw budget.Fault($"a format names '{Short(name)}', which is not given");
    }

    /// <summary><c>[&lt;&gt;][width][.precision][kind]</c>.</summary>
    private static TemplateText Spec(TemplateBudget budget, object? value, string spec)
    {
        if (spec.Length == 0) return Values.Text(budget, value);

        var kind = char.IsAsciiLetter(spec[^1]) ? spec[^1] : value is double ? 'g' : value is long ? 'd' : 's';
        var left = spec[0] == '<' || (spec[0] != '>' && value is TemplateText);
        return Value(budget, value, kind, spec.Trim('<', '>').TrimEnd(kind), left);
    }

    private static TemplateText Value(TemplateBudget budget, object? value, char kind, string spec, bool left)
    {
        var numbers = spec.Split('.');
        var width = numbers[0].Length == 0 ? 0 : Number(budget, numbers[0]);
        var precision = numbers.Length > 1 ? Number(budget, numbers[1]) : (int?)null;
        budget.PayText(MaxWidth);
        var text = kind switch
        {
            's' or 'r' => Values.Text(budget, value) is var all && precision < all.Length ? all.Slice(budget, 0, precision.Value) : all,
            'd' or 'i' or 'u' => Of(((long)Float(budget, value)).ToString(CultureInfo.InvariantCulture)),
            'f' or 'F' => Of(Float(budget, value).ToString($"F{precision ?? 6}", CultureInfo.InvariantCulture)),
            'e' or 'g' or 'G' => Of(Float(budget, value).ToString("R", CultureInfo.InvariantCulture)),
            'x' => Of(((long)Float(budget, value)).ToString("x", CultureInfo.InvariantCulture)),
            'c' => Values.Text(budget, value),
            _ => throw budget.Fault($"a format has a place of kind '{kind}', which is not known"),
        };
        if (text.Length >= width) return text;

        var fill = Of(new string(numbers[0][0] == '0' && !left ? '0' : ' ', width - text.Length));
        return left ? TemplateText.Concat(budget, text, fill) : TemplateText.Concat(budget, fill, text);
    }

    private static int Number(TemplateBudget budget, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= MaxWidth ? number : throw budget.Fault($"a format's width or precision is '{Short(text)}'; 0 to {MaxWidth} is allowed");

    private static double Float(TemplateBudget budget, object? value) => value is bool or long or double ? Values.Double(value) : throw budget.Fault($"a format takes a number where {Values.Kind(value)} is given");

    private static TemplateText Of(string text) => TemplateText.Of(text);

    private static TemplateText Piece(TemplateBudget budget, TemplateText of, int start, int end)
    {
        budget.PayItems(2);
        return of.Slice(budget, start, end - start);
    }

    private static string Short(string text) => text.Length <= 40 ? text : text[..40] + "…";
}
