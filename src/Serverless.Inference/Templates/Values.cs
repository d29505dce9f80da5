using System.Collections;
using System.Globalization;
using System.Text.Json;

namespace Serverless.Inference.Templates;

/// <summary>What Python's operators mean for the values of a template: none is null, lists, ordered maps, longs, doubles, booleans, texts, functions.</summary>
internal static class Values
{
    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined or NoContent or false or 0L or 0.0 => false,
        TemplateText text => text.Length > 0,
        ICollection items => items.Count > 0,
        _ => true,
    };

    /// <summary>JSON as values; its strings are data.</summary>
    public static object? FromJson(TemplateBudget budget, JsonElement json)
    {
        budget.Pay(32);
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                var map = NewMap(budget);
                foreach (var property in json.EnumerateObject()) Set(budget, map, Paid(budget, property.Name), FromJson(budget, property.Value));
                return map;
            case JsonValueKind.Array:
                budget.PayItems(json.GetArrayLength());
                return json.EnumerateArray().Select(item => FromJson(budget, item)).ToList();
            case JsonValueKind.String:
                return TemplateText.OfData(Paid(budget, json.GetString()!));
            case JsonValueKind.Number:
                return json.TryGetInt64(out var whole) ? whole : json.GetDouble();
            case JsonValueKind.True or JsonValueKind.False:
                return json.ValueKind == JsonValueKind.True;
            default:
                return null;
        }
    }

    /// <summary>A value as it is written out.</summary>
    public static TemplateText Text(TemplateBudget budget, object? value)
    {
        switch (value)
        {
            case TemplateText text:
                return text;
            case null:
                return TemplateText.Of("None");
            case Undefined or NoContent:
                return TemplateText.Empty;
            case bool flag:
                return TemplateText.Of(flag ? "True" : "False");
            case double or IFormattable:
                budget.PayText(24);
                return TemplateText.Of(value is double number ? Number(number) : ((IFormattable)value).ToString(null, CultureInfo.InvariantCulture));
            default:
                return TemplateJson.Python(budget, value);
        }
    }

    public static object? Attribute(object? of, string name) =>
        of is IDictionary<string, object?> map && map.TryGetValue(name, out var value) ? value
        : of is LoopState loop ? loop.Find(name)
        : TemplateMethods.Find(of, name) is { } method ? method
        : Undefined.Value;

    public static object? Item(TemplateBudget budget, object? of, object? key) => (of, key) switch
    {
        (_, TemplateText name) when of is not TemplateText and not List<object?> => Attribute(of, name.Value),
        (List<object?> list, long index) => Index(index, list.Count) is var at && at >= 0 ? list[at] : Undefined.Value,
        (TemplateText text, long index) => Index(index, text.Length) is var at && at >= 0 ? text.Slice(budget, at, 1) : Undefined.Value,
        _ => Undefined.Value,
    };

    public static object? Slice(TemplateBudget budget, object? of, object? from, object? to, object? step)
    {
        var length = of switch
        {
            List<object?> items => items.Count,
            TemplateText characters => characters.Length,
            NoContent => 0,
            _ => throw budget.Fault($"{Kind(of)} cannot be sliced; only lists and texts can"),
        };
        var by = step is long given ? given : 1;
        if (by == 0) throw budget.Fault("a slice's step is 0");

        var start = Bound(from, by > 0 ? 0 : length - 1, length, by < 0);
        var end = Bound(to, by > 0 ? length : -1, length, by < 0);
        if (of is NoContent) return TemplateText.Empty;
        if (of is TemplateText whole && by == 1) return whole.Slice(budget, (int)start, (int)Math.Max(0, end - start));

        var indices = new List<int>();
        for (var i = start; by > 0 ? i < end : i > end; i += by)
        {
            budget.Pay(16);
            indices.Add((int)i);
        }

        if (of is List<object?> list) return indices.ConvertAll(index => list[index]);

        var text = (TemplateText)of;
        return TemplateText.Concat(budget, [.. indices.Select(index => text.Slice(budget, index, 1))]);
    }

    public static List<object?> Items(TemplateBudget budget, object? value)
    {
        switch (value)
        {
            case List<object?> list:
                return list;
            case IDictionary<string, object?> map:
                budget.PayItems(5L * map.Count);
                return [.. map.Keys.Select(TemplateText.OfData)];
            case TemplateText text:
                budget.PayItems(text.Length);
                return [.. Enumerable.Range(0, text.Length).Select(index => text.Slice(budget, index, 1))];
            case Undefined or NoContent:
                return [];
            default:
                throw budget.Fault($"{Kind(value)} is no list");
        }
    }

    /// <summary>A copy that the template may keep.</summary>
    public static List<object?> NewList(TemplateBudget budget, IReadOnlyCollection<object?> items)
    {
        budget.PayItems(items.Count);
        return [.. items];
    }

    public static OrderedDictionary<string, object?> NewMap(TemplateBudget budget)
    {
        budget.PayItems(4);
        return new OrderedDictionary<string, object?>(StringComparer.Ordinal);
    }

    public static void Set(TemplateBudget budget, IDictionary<string, object?> map, string key, object? value)
    {
        budget.PayItems(2);
        map[key] = value;
    }

    /// <summary>Python's <c>==</c>. Nothing is allocated: a comparison of shared lists may visit millions of them before it is too dear.</summary>
    public static bool AreEqual(TemplateBudget budget, object? left, object? right)
    {
        budget.Enter();
        var equal = (left, right) switch
        {
            (null or Undefined or NoContent, null or Undefined or NoContent) => left is Undefined == right is Undefined,
            (long a, long b) => a == b,
            (bool or long or double, bool or long or double) => Double(left) == Double(right),
            (List<object?> a, List<object?> b) => SameItems(budget, a, b),
            (OrderedDictionary<string, object?> a, OrderedDictionary<string, object?> b) => SameEntries(budget, a, b),
            (TemplateText a, TemplateText b) => SameText(budget, a, b),
            _ => ReferenceEquals(left, right),
        };
        budget.Leave();
        return equal;
    }

    public static bool Contains(TemplateBudget budget, object? container, object? item)
    {
        switch (container)
        {
            case TemplateText text:
                if (item is not TemplateText part) return false;
                budget.PaySearch(text.Length, part.Length);
                return text.Value.Contains(part.Value, StringComparison.Ordinal);
            case List<object?> list:
                return list.Exists(value => AreEqual(budget, value, item));
            case IDictionary<string, object?> map:
                return item is TemplateText key && map.ContainsKey(key.Value);
            default:
                return false;
        }
    }

    public static bool Compare(TemplateBudget budget, string name, object? left, object? right) => name switch
    {
        "==" => AreEqual(budget, left, right),
        "!=" => !AreEqual(budget, left, right),
        "in" => Contains(budget, right, left),
        "not in" => !Contains(budget, right, left),
        "<" => Order(budget, left, right) < 0,
        ">" => Order(budget, left, right) > 0,
        "<=" => Order(budget, left, right) <= 0,
        _ => Order(budget, left, right) >= 0,
    };

    public static int Order(TemplateBudget budget, object? left, object? right)
    {
        budget.Step();
        switch (left, right)
        {
            case (bool or long or double, bool or long or double):
                return Double(left).CompareTo(Double(right));
            case (TemplateText a, TemplateText b):
                budget.Pay(Math.Min(a.Length, b.Length));
                return string.CompareOrdinal(a.Value, b.Value);

            // Keys of maps are kept as texts; a number that was one is still a number to compare with.
            case (TemplateText a, long) when long.TryParse(a.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number):
                return Order(budget, number, right);
            case (long, TemplateText b) when long.TryParse(b.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number):
                return Order(budget, left, number);
            default:
                throw budget.Fault($"{Kind(left)} and {Kind(right)} have no order");
        }
    }

    public static string Kind(object? value) => value switch
    {
        null or NoContent => "none",
        Undefined => "undefined",
        TemplateText => "a text",
        bool => "a boolean",
        long or double => "a number",
        List<object?> => "a list",
        IDictionary<string, object?> => "a map",
        _ => "a function",
    };

    public static string Number(double number)
    {
        var text = number.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().IndexOfAny(".E") < 0 && double.IsFinite(number) ? text + ".0" : text;
    }

    public static double Double(object? value) => Convert.ToDouble(value, CultureInfo.InvariantCulture);

    private static string Paid(TemplateBudget budget, string text)
    {
        budget.PayText(text.Length);
        return text;
    }

    private static bool SameItems(TemplateBudget budget, List<object?> left, List<object?> right)
    {
        if (left.Count != right.Count) return false;
        for (var i = 0; i < left.Count; i++)
        {
            if (!AreEqual(budget, left[i], right[i])) return false;
        }

        return true;
    }

    private static bool SameEntries(TemplateBudget budget, OrderedDictionary<string, object?> left, OrderedDictionary<string, object?> right)
    {
        if (left.Count != right.Count) return false;
        for (var i = 0; i < left.Count; i++)
        {
            var (key, value) = left.GetAt(i);
            if (!right.TryGetValue(key, out var other) || !AreEqual(budget, value, other)) return false;
        }

        return true;
    }

    private static bool SameText(TemplateBudget budget, TemplateText left, TemplateText right)
    {
        if (left.Length != right.Length) return false;
        budget.Pay(left.Length / 8);
        return left.Value == right.Value;
    }

    private static int Index(long index, int count) => index < 0 && index >= -count ? (int)(index + count) : index >= 0 && index < count ? (int)index : -1;

    private static long Bound(object? value, long missing, int length, bool backwards)
    {
        if (value is not long bound) return missing;
        if (bound < 0) bound += length;
        return Math.Clamp(bound, backwards ? -1 : 0, backwards ? length - 1 : length);
    }
}
