using System.Globalization;

namespace Serverless.Inference.Templates;

/// <summary>What follows a bar.</summary>
internal static class TemplateFilters
{
    public static object? Apply(string name, object? value, List<object?> arguments, Dictionary<string, object?> named, TemplateScope scope, int line)
    {
        scope.Budget.Step(line);
        return name switch
        {
            "trim" => Values.Text(value).Trim(true, true, arguments is [TemplateText characters] ? characters.Value : null),
            "length" or "count" => Length(value, line),
            "tojson" => TemplateJson.Write(value, (named.GetValueOrDefault("indent") ?? arguments.FirstOrDefault()) is long indent ? (int)indent : null),
            "string" => Values.Text(value),
            "safe" => Values.Text(value).AsMarkup(),
            "e" or "escape" or "forceescape" => Escape(Values.Text(value)).AsMarkup(),
            "join" => Join(Values.Items(value, line), arguments is [var separator, ..] ? Values.Text(separator) : TemplateText.Empty),
            "upper" => Values.Text(value).Map(text => text.ToUpperInvariant()),
            "lower" => Values.Text(value).Map(text => text.ToLowerInvariant()),
            "capitalize" => Capitalize(Values.Text(value)),
            "title" => Title(Values.Text(value)),
            "replace" => Replace(Values.Text(value), Values.Text(arguments[0]), Values.Text(arguments[1]), -1),
            "indent" => Indent(Values.Text(value), arguments, named),
            "default" or "d" => value is Undefined || (arguments is [_, true] && !Values.IsTrue(value)) || (named.GetValueOrDefault("boolean") is true && !Values.IsTrue(value)) ? arguments.FirstOrDefault() ?? TemplateText.Empty : value,
            "int" => Number(value) is { } number ? (object)(long)number : arguments.FirstOrDefault() ?? 0L,
            "float" => Number(value) is { } number ? number : arguments.FirstOrDefault() ?? 0.0,
            "abs" => value is long whole ? Math.Abs(whole) : value is double number ? (object)Math.Abs(number) : value,
            "round" => value is double rounded ? Math.Round(rounded) : value,
            _ => OverItems(name, value, arguments, named, line),
        };
    }

    public static TemplateText Join(List<object?> items, TemplateText separator) =>
        TemplateText.Concat(items.SelectMany((item, index) => index == 0 ? (IEnumerable<TemplateText>)[Values.Text(item)] : [separator, Values.Text(item)]));

    public static TemplateText Capitalize(TemplateText text) =>
        text.Map(value => value.Length == 0 ? value : char.ToUpperInvariant(value[0]) + value[1..].ToLowerInvariant());

    public static TemplateText Title(TemplateText text) => text.Map(value => CultureInfo.InvariantCulture.TextInfo.ToTitleCase(value.ToLowerInvariant()));

    public static TemplateText Replace(TemplateText text, TemplateText old, TemplateText with, int limit) =>
        old.Length == 0 ? text : Join(text.Split(old.Value, limit).ConvertAll<object?>(part => part), with);

    private static object? OverItems(string name, object? value, List<object?> arguments, Dictionary<string, object?> named, int line) => name switch
    {
        "list" => Values.Items(value, line).ToList(),
        "first" => Values.Items(value, line) is [var first, ..] ? first : Undefined.Value,
        "last" => Values.Items(value, line) is [.., var last] ? last : Undefined.Value,
        "reverse" => Enumerable.Reverse(Values.Items(value, line)).ToList(),
        "sort" => Values.Items(value, line).Order(Comparer<object?>.Create((left, right) => Values.Order(left, right, line))).ToList(),
        "unique" => Unique(Values.Items(value, line)),
        "sum" => Values.Items(value, line).Aggregate((object?)0L, (sum, item) => Values.Arithmetic("+", sum, item, line)),
        "min" => Values.Items(value, line).Aggregate((left, right) => Values.Order(left, right, line) <= 0 ? left : right),
        "max" => Values.Items(value, line).Aggregate((left, right) => Values.Order(left, right, line) >= 0 ? left : right),
        "items" => TemplateMethods.Find(value, "items") is { } items ? items([], named) : new List<object?>(),
        "dictsort" => DictSort(value, line),
        "map" or "select" or "reject" or "selectattr" or "rejectattr" => Values.IsTrue(value) ? Generate(name, Values.Items(value, line), arguments, named, line) : new GeneratedList([]),
        _ => throw new TemplateException($"Line {line}: the filter '{name}' is not known."),
    };

    private static GeneratedList Generate(string name, List<object?> items, List<object?> arguments, Dictionary<string, object?> named, int line) => name switch
    {
        "map" => Map(items, arguments, named, line),
        "select" => new GeneratedList(items.Where(item => arguments.Count == 0 ? Values.IsTrue(item) : Tested(item, arguments, 0, line))),
        "reject" => new GeneratedList(items.Where(item => !(arguments.Count == 0 ? Values.IsTrue(item) : Tested(item, arguments, 0, line)))),
        "selectattr" => new GeneratedList(items.Where(item => AttributeHolds(item, arguments, line))),
        _ => new GeneratedList(items.Where(item => !AttributeHolds(item, arguments, line))),
    };

    private static long Length(object? value, int line) => value switch
    {
        TemplateText text => text.Length,
        List<object?> list => list.Count,
        IDictionary<string, object?> map => map.Count,
        null or Undefined => 0,
        _ => throw new TemplateException($"Line {line}: {Values.Kind(value)} has no length."),
    };

    private static double? Number(object? value) => value switch
    {
        long whole => whole,
        double number => number,
        bool flag => flag ? 1 : 0,
        TemplateText text when double.TryParse(text.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) => parsed,
        _ => null,
    };

    private static TemplateText Indent(TemplateText text, List<object?> arguments, Dictionary<string, object?> named)
    {
        var width = (arguments.FirstOrDefault() ?? named.GetValueOrDefault("width")) is long given ? (int)given : 4;
        var first = (arguments.Count > 1 ? arguments[1] : named.GetValueOrDefault("first")) is true;
        var pad = TemplateText.Of(new string(' ', Math.Clamp(width, 0, 1000)));
        var lines = text.Split("\n", -1).Select((line, index) => (object?)(line.Length == 0 || (index == 0 && !first) ? line : TemplateText.Concat([pad, line]))).ToList();
        return Join(lines, TemplateText.Of("\n"));
    }

    private static List<object?> Unique(List<object?> items)
    {
        List<object?> unique = [];
        foreach (var item in items)
        {
            if (!unique.Exists(known => Values.AreEqual(known, item))) unique.Add(item);
        }

        return unique;
    }

    public static TemplateText Escape(TemplateText text) => new (string Character, string Entity)[] { ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;") }
        .Aggregate(text, (escaped, pair) => Replace(escaped, TemplateText.Of(pair.Character), TemplateText.Of(pair.Entity), -1));

    private static List<object?> DictSort(object? value, int line)
    {
        if (value is not OrderedDictionary<string, object?> map) throw new TemplateException($"Line {line}: {Values.Kind(value)} is no map.");

        var numbers = map.Keys.All(key => long.TryParse(key, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _));
        var keys = numbers ? map.Keys.OrderBy(key => long.Parse(key, CultureInfo.InvariantCulture)) : map.Keys.Order(StringComparer.Ordinal);
        return [.. keys.Select(key => (object?)new List<object?> { TemplateText.OfData(key), map[key] })];
    }

    private static GeneratedList Map(List<object?> items, List<object?> arguments, Dictionary<string, object?> named, int line)
    {
        if (named.GetValueOrDefault("attribute") is TemplateText attribute)
        {
            return new GeneratedList(items.Select(item => Values.Attribute(item, attribute.Value) is var value && value is Undefined && named.TryGetValue("default", out var missing) ? missing : value));
        }

        var filter = Values.Text(arguments[0]).Value;
        var scope = new TemplateScope(null, new TemplateBudget(), []);
        return new GeneratedList(items.Select(item => Apply(filter, item, arguments[1..], named, scope, line)));
    }

    private static bool AttributeHolds(object? item, List<object?> arguments, int line)
    {
        var value = Values.Attribute(item, Values.Text(arguments[0]).Value);
        return arguments.Count == 1 ? Values.IsTrue(value) : Tested(value, arguments, 1, line);
    }

    private static bool Tested(object? value, List<object?> arguments, int at, int line) => Values.Text(arguments[at]).Value switch
    {
        "==" => Values.AreEqual(value, arguments[at + 1]),
        "!=" => !Values.AreEqual(value, arguments[at + 1]),
        var test => TemplateTests.Holds(test, value, arguments[(at + 1)..], line),
    };
}
