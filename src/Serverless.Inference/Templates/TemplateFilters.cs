using System.Globalization;

namespace Serverless.Inference.Templates;

/// <summary>What follows a bar.</summary>
internal static class TemplateFilters
{
    private static readonly (TemplateText Character, TemplateText Entity)[] Entities =
        [.. new[] { ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;") }.Select(pair => (TemplateText.Of(pair.Item1), TemplateText.Of(pair.Item2)))];

    public static object? Apply(TemplateBudget budget, string name, object? value, List<object?> arguments, Dictionary<string, object?> named)
    {
        budget.Step();
        return name switch
        {
            "trim" => Values.Text(budget, value).Trim(budget, true, true, arguments is [TemplateText characters] ? characters.Value : null),
            "length" or "count" => Length(budget, value),
            "tojson" => TemplateJson.Write(budget, value, (named.GetValueOrDefault("indent") ?? arguments.FirstOrDefault()) as long?),
            "string" => Values.Text(budget, value),
            "safe" => Values.Text(budget, value).AsMarkup(),
            "e" or "escape" or "forceescape" => Escape(budget, Values.Text(budget, value)).AsMarkup(),
            "join" => Join(budget, Joined(budget, value, named), arguments is [var separator, ..] ? Values.Text(budget, separator) : TemplateText.Empty),
            "upper" => Values.Text(budget, value).Map(budget, text => text.ToUpperInvariant()),
            "lower" => Values.Text(budget, value).Map(budget, text => text.ToLowerInvariant()),
            "capitalize" => Capitalize(budget, Values.Text(budget, value)),
            "title" => Title(budget, Values.Text(budget, value)),
            "format" => TemplateFormat.Percent(budget, Values.Text(budget, value), arguments, named),
            "replace" => Replace(budget, Values.Text(budget, value), Values.Text(budget, arguments[0]), Values.Text(budget, arguments[1]), arguments.Count > 2 && arguments[2] is long count ? count : -1),
            "indent" => Indent(budget, Values.Text(budget, value), arguments, named),
            "default" or "d" => value is Undefined || (IsLoose(arguments, named) && !Values.IsTrue(value)) ? arguments.FirstOrDefault() ?? TemplateText.Empty : value,
            "int" => Number(value) is { } number ? (object)(long)number : arguments.FirstOrDefault() ?? 0L,
            "float" => Number(value) is { } number ? number : arguments.FirstOrDefault() ?? 0.0,
            "abs" => value is long whole ? Math.Abs(whole) : value is double number ? (object)Math.Abs(number) : value,
            "round" => value is double rounded ? Math.Round(rounded, (int)Math.Clamp(arguments.FirstOrDefault() as long? ?? 0, 0, 15)) : value,
            _ => OverItems(budget, name, value, arguments, named),
        };
    }

    public static TemplateText Join(TemplateBudget budget, List<object?> items, TemplateText separator)
    {
        budget.PayItems(2L * items.Count);
        var parts = new List<TemplateText>(2 * items.Count);
        foreach (var item in items)
        {
            if (parts.Count > 0) parts.Add(separator);
            parts.Add(Values.Text(budget, item));
        }

        return TemplateText.Concat(budget, [.. parts]);
    }

    public static TemplateText Capitalize(TemplateBudget budget, TemplateText text) =>
        text.Map(budget, value => value.Length == 0 ? value : char.ToUpperInvariant(value[0]) + value[1..].ToLowerInvariant());

    public static TemplateText Title(TemplateBudget budget, TemplateText text) => text.Map(budget, value => CultureInfo.InvariantCulture.TextInfo.ToTitleCase(value.ToLowerInvariant()));

    public static TemplateText Replace(TemplateBudget budget, TemplateText text, TemplateText old, TemplateText with, long limit) =>
        old.Length == 0 ? text : Join(budget, text.Split(budget, old.Value, limit).ConvertAll<object?>(part => part), with);

    public static TemplateText Escape(TemplateBudget budget, TemplateText text) =>
        Entities.Aggregate(text, (escaped, pair) => Replace(budget, escaped, pair.Character, pair.Entity, -1));

    private static object? OverItems(TemplateBudget budget, string name, object? value, List<object?> arguments, Dictionary<string, object?> named) => name switch
    {
        "list" => Values.NewList(budget, Values.Items(budget, value)),
        "first" => Values.Items(budget, value) is [var first, ..] ? first : Undefined.Value,
        "last" => Values.Items(budget, value) is [.., var last] ? last : Undefined.Value,
        "reverse" => Enumerable.Reverse(Values.NewList(budget, Values.Items(budget, value))).ToList(),
        "sort" => Sort(budget, Values.NewList(budget, Values.Items(budget, value)), named),
        "unique" => Unique(budget, Values.Items(budget, value)),
        "sum" => Values.Items(budget, value).Aggregate((object?)0L, (sum, item) => Arithmetic.Apply(budget, "+", sum, item)),
        "min" => Values.Items(budget, value).Aggregate((left, right) => Values.Order(budget, left, right) <= 0 ? left : right),
        "max" => Values.Items(budget, value).Aggregate((left, right) => Values.Order(budget, left, right) >= 0 ? left : right),
        "items" => TemplateMethods.Find(value, "items") is { } items ? items(budget, [], named) : new List<object?>(),
        "dictsort" => DictSort(budget, value),
        "map" or "select" or "reject" or "selectattr" or "rejectattr" => Values.IsTrue(value) ? Generate(budget, name, Values.Items(budget, value), arguments, named) : new GeneratedList([]),
        _ => throw budget.Fault($"the filter '{name}' is not known"),
    };

    private static GeneratedList Generate(TemplateBudget budget, string name, List<object?> items, List<object?> arguments, Dictionary<string, object?> named)
    {
        budget.PayItems(4L * items.Count);
        return name switch
        {
            "map" => Map(budget, items, arguments, named),
            "select" => new GeneratedList(items.Where(item => arguments.Count == 0 ? Values.IsTrue(item) : Tested(budget, item, arguments, 0))),
            "reject" => new GeneratedList(items.Where(item => !(arguments.Count == 0 ? Values.IsTrue(item) : Tested(budget, item, arguments, 0)))),
            "selectattr" => new GeneratedList(items.Where(item => AttributeHolds(budget, item, arguments))),
            _ => new GeneratedList(items.Where(item => !AttributeHolds(budget, item, arguments))),
        };
    }

    private static bool IsLoose(List<object?> arguments, Dictionary<string, object?> named) => arguments is [_, true] || named.GetValueOrDefault("boolean") is true;

    private static List<object?> Joined(TemplateBudget budget, object? value, Dictionary<string, object?> named)
    {
        var items = Values.Items(budget, value);
        if (named.GetValueOrDefault("attribute") is not TemplateText attribute) return items;

        budget.PayItems(items.Count);
        return items.ConvertAll(item => Values.Attribute(item, attribute.Value));
    }

    private static long Length(TemplateBudget budget, object? value) => value switch
    {
        TemplateText text => text.Length,
        List<object?> list => list.Count,
        IDictionary<string, object?> map => map.Count,
        null or Undefined or NoContent => 0,
        _ => throw budget.Fault($"{Values.Kind(value)} has no length"),
    };

    private static double? Number(object? value) => value switch
    {
        long whole => whole,
        double number => number,
        bool flag => flag ? 1 : 0,
        TemplateText text when double.TryParse(text.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) => parsed,
        _ => null,
    };

    private static TemplateText Indent(TemplateBudget budget, TemplateText text, List<object?> arguments, Dictionary<string, object?> named)
    {
        var width = (arguments.FirstOrDefault() ?? named.GetValueOrDefault("width")) is long given ? given : 4;
        var first = (arguments.Count > 1 ? arguments[1] : named.GetValueOrDefault("first")) is true;
        var pad = TemplateText.Of(new string(' ', (int)Math.Clamp(width, 0, 1000)));
        var lines = text.Split(budget, "\n").Select((line, index) => (object?)(line.Length == 0 || (index == 0 && !first) ? line : TemplateText.Concat(budget, pad, line))).ToList();
        return Join(budget, lines, TemplateText.Of("\n"));
    }

    private static List<object?> Sort(TemplateBudget budget, List<object?> items, Dictionary<string, object?> named)
    {
        var attribute = (named.GetValueOrDefault("attribute") as TemplateText)?.Value;
        var comparer = Comparer<object?>.Create((left, right) => Values.Order(budget, left, right));
        var sorted = named.GetValueOrDefault("reverse") is true
            ? items.OrderByDescending(Key, comparer)
            : items.OrderBy(Key, comparer);
        budget.PayItems(3L * items.Count);
        return [.. sorted];

        object? Key(object? item)
        {
            var key = attribute is null ? item : Values.Attribute(item, attribute);
            return key is TemplateText text && named.GetValueOrDefault("case_sensitive") is not true ? text.Map(budget, value => value.ToLowerInvariant()) : key;
        }
    }

    private static List<object?> Unique(TemplateBudget budget, List<object?> items)
    {
        budget.PayItems(2L * items.Count);
        List<object?> unique = [];
        foreach (var item in items)
        {
            if (!unique.Exists(known => Values.AreEqual(budget, known, item))) unique.Add(item);
        }

        return unique;
    }

    private static List<object?> DictSort(TemplateBudget budget, object? value)
    {
        if (value is not OrderedDictionary<string, object?> map) throw budget.Fault($"{Values.Kind(value)} is no map");

        budget.PayItems(12L * map.Count);
        foreach (var key in map.Keys) budget.Pay(8L * key.Length); // compared some times each
        var numbers = map.Keys.All(key => long.TryParse(key, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _));
        var keys = numbers ? map.Keys.OrderBy(key => long.Parse(key, CultureInfo.InvariantCulture)) : map.Keys.Order(StringComparer.Ordinal);
        return [.. keys.Select(key => (object?)new List<object?> { TemplateText.OfData(key), map[key] })];
    }

    private static GeneratedList Map(TemplateBudget budget, List<object?> items, List<object?> arguments, Dictionary<string, object?> named)
    {
        if (named.GetValueOrDefault("attribute") is TemplateText attribute)
        {
            return new GeneratedList(items.Select(item => Values.Attribute(item, attribute.Value) is var value && value is Undefined && named.TryGetValue("default", out var missing) ? missing : value));
        }

        var filter = Values.Text(budget, arguments[0]).Value;
        var rest = arguments[1..];
        return new GeneratedList(items.Select(item => Apply(budget, filter, item, rest, named)));
    }

    private static bool AttributeHolds(TemplateBudget budget, object? item, List<object?> arguments)
    {
        budget.Step();
        var value = Values.Attribute(item, Values.Text(budget, arguments[0]).Value);
        return arguments.Count == 1 ? Values.IsTrue(value) : Tested(budget, value, arguments, 1);
    }

    private static bool Tested(TemplateBudget budget, object? value, List<object?> arguments, int at)
    {
        budget.Pay(128);
        return Values.Text(budget, arguments[at]).Value switch
        {
            "==" => Values.AreEqual(budget, value, arguments[at + 1]),
            "!=" => !Values.AreEqual(budget, value, arguments[at + 1]),
            var test => TemplateTests.Holds(budget, test, value, arguments[(at + 1)..]),
        };
    }
}
