using System.Collections;
using System.Globalization;
using System.Text.Json;

namespace Serverless.Inference.Templates;

/// <summary>What Python's operators mean for the values of a template: none is null, lists, ordered maps, longs, doubles, booleans, texts, functions.</summary>
internal static class Values
{
    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined or false or 0L or 0.0 => false,
        TemplateText text => text.Length > 0,
        ICollection items => items.Count > 0,
        _ => true,
    };

    /// <summary>JSON as values; its strings are data.</summary>
    public static object? FromJson(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => Map(json),
        JsonValueKind.Array => json.EnumerateArray().Select(FromJson).ToList(),
        JsonValueKind.String => TemplateText.OfData(json.GetString()!),
        JsonValueKind.Number => json.TryGetInt64(out var whole) ? (object)whole : json.GetDouble(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    /// <summary>A value as it is written out.</summary>
    public static TemplateText Text(object? value) => value switch
    {
        TemplateText text => text,
        null => TemplateText.Of("None"),
        Undefined => TemplateText.Empty,
        bool flag => TemplateText.Of(flag ? "True" : "False"),
        double number => TemplateText.Of(Number(number)),
        IFormattable number => TemplateText.Of(number.ToString(null, CultureInfo.InvariantCulture)),
        _ => TemplateJson.Python(value),
    };

    public static object? Attribute(object? of, string name) =>
        of is IDictionary<string, object?> map && map.TryGetValue(name, out var value) ? value
        : TemplateMethods.Find(of, name) is { } method ? method
        : Undefined.Value;

    public static object? Item(object? of, object? key) => (of, key) switch
    {
        (IDictionary<string, object?> map, TemplateText name) => map.TryGetValue(name.Value, out var value) ? value : TemplateMethods.Find(of, name.Value) ?? (object)Undefined.Value,
        (List<object?> list, long index) => Index(index, list.Count) is var at && at >= 0 ? list[at] : Undefined.Value,
        (TemplateText text, long index) => Index(index, text.Length) is var at && at >= 0 ? text.Slice(at, 1) : Undefined.Value,
        _ => Undefined.Value,
    };

    public static object? Slice(object? of, object? from, object? to, object? step, int line)
    {
        var length = of switch
        {
            List<object?> items => items.Count,
            TemplateText characters => characters.Length,
            _ => throw new TemplateException($"Line {line}: only lists and texts can be sliced."),
        };
        var by = step is long given ? given : 1;
        if (by == 0) throw new TemplateException($"Line {line}: a slice's step is 0.");

        var start = Bound(from, by > 0 ? 0 : length - 1, length, by < 0);
        var end = Bound(to, by > 0 ? length : -1, length, by < 0);
        List<int> indices = [];
        for (var i = start; by > 0 ? i < end : i > end; i += by) indices.Add((int)i);
        return of is List<object?> list ? indices.Select(index => list[index]).ToList() : TemplateText.Concat(indices.Select(index => ((TemplateText)of!).Slice(index, 1)));
    }

    public static List<object?> Items(object? value, int line) => value switch
    {
        List<object?> list => list,
        IDictionary<string, object?> map => [.. map.Keys.Select(TemplateText.Of)],
        TemplateText text => [.. Enumerable.Range(0, text.Length).Select(index => text.Slice(index, 1))],
        Undefined => [],
        _ => throw new TemplateException($"Line {line}: {Kind(value)} is no list."),
    };

    public static bool AreEqual(object? left, object? right) => (left, right) switch
    {
        (null or Undefined, null or Undefined) => (left is null) == (right is null),
        (bool or long or double, bool or long or double) => Double(left) == Double(right),
        (List<object?> a, List<object?> b) => a.Count == b.Count && a.Zip(b).All(pair => AreEqual(pair.First, pair.Second)),
        (IDictionary<string, object?> a, IDictionary<string, object?> b) => a.Count == b.Count && a.All(pair => b.TryGetValue(pair.Key, out var other) && AreEqual(pair.Value, other)),
        _ => Equals(left, right),
    };

    public static bool Contains(object? container, object? item) => container switch
    {
        TemplateText text => item is TemplateText part && text.Value.Contains(part.Value, StringComparison.Ordinal),
        List<object?> list => list.Exists(value => AreEqual(value, item)),
        IDictionary<string, object?> map => item is TemplateText key && map.ContainsKey(key.Value),
        _ => false,
    };

    public static bool Compare(string name, object? left, object? right, int line) => name switch
    {
        "==" => AreEqual(left, right),
        "!=" => !AreEqual(left, right),
        "in" => Contains(right, left),
        "not in" => !Contains(right, left),
        "<" => Order(left, right, line) < 0,
        ">" => Order(left, right, line) > 0,
        "<=" => Order(left, right, line) <= 0,
        _ => Order(left, right, line) >= 0,
    };

    public static int Order(object? left, object? right, int line) => (left, right) switch
    {
        (bool or long or double, bool or long or double) => Double(left).CompareTo(Double(right)),
        (TemplateText a, TemplateText b) => string.CompareOrdinal(a.Value, b.Value),

        // Keys of maps are kept as texts; a number that was one is still a number to compare with.
        (TemplateText a, long) when long.TryParse(a.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => Order(number, right, line),
        (long, TemplateText b) when long.TryParse(b.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => Order(left, number, line),
        _ => throw new TemplateException($"Line {line}: {Text(left)} and {Text(right)} have no order."),
    };

    public static object? Arithmetic(string name, object? left, object? right, int line)
    {
        switch (name, left, right)
        {
            case ("~", _, _):
                return TemplateText.Concat([Text(left), Text(right)]);
            case ("+", TemplateText { IsMarkup: true } a, TemplateText b):
                return TemplateText.Concat([a, b.IsMarkup ? b : TemplateFilters.Escape(b)]).AsMarkup();
            case ("+", TemplateText a, TemplateText b):
                return TemplateText.Concat([a, b]);
            case ("+", List<object?> a, List<object?> b):
                return (List<object?>)[.. a, .. b];
            case ("*", TemplateText a, long times):
                return TemplateText.Concat(Enumerable.Repeat(a, (int)Math.Clamp(times, 0, 100_000)));
            case ("+" or "-" or "*" or "//" or "%" or "**", bool or long, bool or long):
                return Whole(name, Convert.ToInt64(left, CultureInfo.InvariantCulture), Convert.ToInt64(right, CultureInfo.InvariantCulture), line);
            case (_, bool or long or double, bool or long or double):
                return Fraction(name, Double(left), Double(right), line);
            default:
                throw new TemplateException($"Line {line}: {name} is not defined for {Kind(left)} and {Kind(right)}.");
        }
    }

    public static string Kind(object? value) => value switch
    {
        null => "none",
        Undefined => "undefined",
        TemplateText => "a text",
        bool => "a boolean",
        long or double => "a number",
        List<object?> => "a list",
        IDictionary<string, object?> => "a map",
        _ => "a function",
    };

    private static long Whole(string name, long left, long right, int line)
    {
        if (right == 0 && name is "//" or "%" && right == 0) throw new TemplateException($"Line {line}: a number is divided by 0.");
        return name switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "//" => (long)Math.Floor((double)left / right),
            "%" => ((left % right) + right) % right,
            _ => (long)Math.Pow(left, right),
        };
    }

    private static double Fraction(string name, double left, double right, int line) => name switch
    {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => right != 0 ? left / right : throw new TemplateException($"Line {line}: a number is divided by 0."),
        "//" => Math.Floor(left / right),
        "**" => Math.Pow(left, right),
        _ => left - (right * Math.Floor(left / right)),
    };

    private static double Double(object? value) => Convert.ToDouble(value, CultureInfo.InvariantCulture);

    private static string Number(double number)
    {
        var text = number.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().IndexOfAny(".E") < 0 && double.IsFinite(number) ? text + ".0" : text;
    }

    private static int Index(long index, int count) => index < 0 && index >= -count ? (int)(index + count) : index >= 0 && index < count ? (int)index : -1;

    private static long Bound(object? value, long missing, int length, bool backwards)
    {
        if (value is not long bound) return missing;
        if (bound < 0) bound += length;
        return Math.Clamp(bound, backwards ? -1 : 0, backwards ? length - 1 : length);
    }

    private static OrderedDictionary<string, object?> Map(JsonElement json)
    {
        var map = new OrderedDictionary<string, object?>(StringComparer.Ordinal);
        foreach (var property in json.EnumerateObject()) map[property.Name] = FromJson(property.Value);
        return map;
    }
}
