namespace Serverless.Inference.Templates;

/// <summary>The methods of Python's strings, lists and dictionaries that chat templates call; those that would change a list or map are refused, as the sandbox of Hugging Face's tokenizers does.</summary>
internal static class TemplateMethods
{
    public static TemplateCall? Find(object? of, string name) => of switch
    {
        TemplateText text => OfText(text, name),
        OrderedDictionary<string, object?> map => OfMap(map, name),
        List<object?> list => OfList(list, name),
        _ => null,
    };

    private static TemplateCall? OfText(TemplateText text, string name) => name switch
    {
        "strip" => (arguments, _) => text.Trim(true, true, Characters(arguments)),
        "lstrip" => (arguments, _) => text.Trim(true, false, Characters(arguments)),
        "rstrip" => (arguments, _) => text.Trim(false, true, Characters(arguments)),
        "split" => (arguments, _) => Split(text, arguments),
        "splitlines" => (_, _) => text.Length == 0 ? [] : text.Split("\n", -1).ConvertAll<object?>(line => line),
        "upper" => (_, _) => text.Map(value => value.ToUpperInvariant()),
        "lower" => (_, _) => text.Map(value => value.ToLowerInvariant()),
        "title" => (_, _) => TemplateFilters.Title(text),
        "capitalize" => (_, _) => TemplateFilters.Capitalize(text),
        "startswith" => (arguments, _) => Any(arguments, part => text.Value.StartsWith(part, StringComparison.Ordinal)),
        "endswith" => (arguments, _) => Any(arguments, part => text.Value.EndsWith(part, StringComparison.Ordinal)),
        "replace" => (arguments, _) => TemplateFilters.Replace(text, Values.Text(arguments[0]), Values.Text(arguments[1]), arguments.Count > 2 && arguments[2] is long count ? (int)count : -1),
        "find" => (arguments, _) => (long)text.Value.IndexOf(Values.Text(arguments[0]).Value, StringComparison.Ordinal),
        "count" => (arguments, _) => (long)text.Split(Values.Text(arguments[0]).Value, -1).Count - 1,
        "join" => (arguments, _) => TemplateFilters.Join(Values.Items(arguments[0], 0), text),
        "removeprefix" => (arguments, _) => Values.Text(arguments[0]).Value is var prefix && text.Value.StartsWith(prefix, StringComparison.Ordinal) ? text.Slice(prefix.Length, text.Length - prefix.Length) : text,
        "removesuffix" => (arguments, _) => Values.Text(arguments[0]).Value is var suffix && text.Value.EndsWith(suffix, StringComparison.Ordinal) ? text.Slice(0, text.Length - suffix.Length) : text,
        "isdigit" => (_, _) => text.Length > 0 && text.Value.All(char.IsDigit),
        _ => null,
    };

    private static TemplateCall? OfMap(OrderedDictionary<string, object?> map, string name) => name switch
    {
        "items" => (_, _) => map.Select(pair => (object?)new List<object?> { TemplateText.OfData(pair.Key), pair.Value }).ToList(),
        "keys" => (_, _) => map.Keys.Select(key => (object?)TemplateText.OfData(key)).ToList(),
        "values" => (_, _) => map.Values.ToList(),
        "get" => (arguments, _) => map.TryGetValue(Values.Text(arguments[0]).Value, out var value) ? value : arguments.Count > 1 ? arguments[1] : null,
        _ => null,
    };

    private static TemplateCall? OfList(List<object?> list, string name) =>
        name == "index" ? (arguments, _) => (long)list.FindIndex(item => Values.AreEqual(item, arguments[0])) : null;

    private static string? Characters(IReadOnlyList<object?> arguments) => arguments is [TemplateText characters] ? characters.Value : null;

    private static bool Any(IReadOnlyList<object?> arguments, Func<string, bool> matches) =>
        arguments[0] is List<object?> options ? options.Exists(option => matches(Values.Text(option).Value)) : matches(Values.Text(arguments[0]).Value);

    private static List<object?> Split(TemplateText text, IReadOnlyList<object?> arguments)
    {
        var parts = arguments is [TemplateText { Length: > 0 } separator, ..] ? text.Split(separator.Value, arguments is [_, long limit] ? (int)limit : -1) : text.Words();
        return parts.ConvertAll<object?>(part => part);
    }
}
