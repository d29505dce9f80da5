namespace Serverless.Inference.Templates;

/// <summary>The methods of Python's strings, lists and dictionaries that chat templates call; those that would change a list or map are refused, as the sandbox of Hugging Face's tokenizers does.</summary>
internal static class TemplateMethods
{
    public static TemplateCall? Find(object? of, string name) => of switch
    {
        TemplateText text => OfText(text, name),
        NoContent => OfText(TemplateText.Empty, name),
        OrderedDictionary<string, object?> map => OfMap(map, name),
        List<object?> list => OfList(list, name),
        _ => null,
    };

    private static TemplateCall? OfText(TemplateText text, string name) => name switch
    {
        "strip" => (budget, arguments, _) => text.Trim(budget, true, true, Characters(arguments)),
        "lstrip" => (budget, arguments, _) => text.Trim(budget, true, false, Characters(arguments)),
        "rstrip" => (budget, arguments, _) => text.Trim(budget, false, true, Characters(arguments)),
        "split" => (budget, arguments, named) => Split(budget, text, arguments, named, fromEnd: false),
        "rsplit" => (budget, arguments, named) => Split(budget, text, arguments, named, fromEnd: true),
        "splitlines" => (budget, _, _) => Lines(budget, text),
        "partition" => (budget, arguments, _) => Partition(budget, text, Texts(budget, arguments)[0], fromEnd: false),
        "rpartition" => (budget, arguments, _) => Partition(budget, text, Texts(budget, arguments)[0], fromEnd: true),
        "upper" => (budget, _, _) => text.Map(budget, value => value.ToUpperInvariant()),
        "lower" or "casefold" => (budget, _, _) => text.Map(budget, value => value.ToLowerInvariant()),
        "swapcase" => (budget, _, _) => text.Map(budget, value => string.Concat(value.Select(letter => char.IsUpper(letter) ? char.ToLowerInvariant(letter) : char.ToUpperInvariant(letter)))),
        "title" => (budget, _, _) => TemplateFilters.Title(budget, text),
        "capitalize" => (budget, _, _) => TemplateFilters.Capitalize(budget, text),
        "startswith" => (budget, arguments, _) => Any(budget, arguments, part => text.Value.StartsWith(part, StringComparison.Ordinal)),
        "endswith" => (budget, arguments, _) => Any(budget, arguments, part => text.Value.EndsWith(part, StringComparison.Ordinal)),
        "replace" => (budget, arguments, named) => Replace(budget, text, arguments, named),
        "format" => (budget, arguments, named) => TemplateFormat.Braces(budget, text, arguments, named),
        "join" => (budget, arguments, _) => TemplateFilters.Join(budget, Values.Items(budget, arguments[0]), text),
        "removeprefix" => (budget, arguments, _) => Texts(budget, arguments)[0] is var prefix && text.Value.StartsWith(prefix.Value, StringComparison.Ordinal) ? text.Slice(budget, prefix.Length, text.Length - prefix.Length) : text,
        "removesuffix" => (budget, arguments, _) => Texts(budget, arguments)[0] is var suffix && text.Value.EndsWith(suffix.Value, StringComparison.Ordinal) ? text.Slice(budget, 0, text.Length - suffix.Length) : text,
        "zfill" or "ljust" or "rjust" or "center" => (budget, arguments, _) => Pad(budget, text, name, arguments),
        _ => OfSearch(text, name) ?? OfCharacters(text, name),
    };

    private static TemplateCall? OfSearch(TemplateText text, string name) => name switch
    {
        "find" or "index" => (budget, arguments, _) => Found(budget, name, Search(budget, text, arguments, value => text.Value.IndexOf(value, StringComparison.Ordinal))),
        "rfind" or "rindex" => (budget, arguments, _) => Found(budget, name, Search(budget, text, arguments, value => text.Value.LastIndexOf(value, StringComparison.Ordinal))),
        "count" => (budget, arguments, _) => Texts(budget, arguments)[0] is { Length: > 0 } sought ? text.Split(budget, sought.Value).Count - 1L : text.Length + 1L,
        _ => null,
    };

    private static TemplateCall? OfCharacters(TemplateText text, string name)
    {
        Func<char, bool>? test = name switch
        {
            "isdigit" or "isnumeric" or "isdecimal" => char.IsDigit,
            "isalpha" => char.IsLetter,
            "isalnum" => char.IsLetterOrDigit,
            "isspace" => char.IsWhiteSpace,
            "isupper" => letter => !char.IsLower(letter),
            "islower" => letter => !char.IsUpper(letter),
            _ => null,
        };
        if (test is null) return null;
        return (budget, _, _) =>
        {
            budget.Pay(text.Length);
            return text.Length > 0 && text.Value.All(test) && (name is not ("isupper" or "islower") || text.Value.Any(char.IsLetter));
        };
    }

    private static TemplateCall? OfMap(OrderedDictionary<string, object?> map, string name) => name switch
    {
        "items" => (budget, _, _) => Pairs(budget, map),
        "keys" => (budget, _, _) => Values.Items(budget, map),
        "values" => (budget, _, _) => Values.NewList(budget, map.Values),
        "get" => (budget, arguments, _) => map.TryGetValue(Values.Text(budget, arguments[0]).Value, out var value) ? value : arguments.Count > 1 ? arguments[1] : null,
        _ => null,
    };

    private static TemplateCall? OfList(List<object?> list, string name) => name switch
    {
        "index" => (budget, arguments, _) => Found(budget, name, list.FindIndex(item => Values.AreEqual(budget, item, arguments[0]))),
        "count" => (budget, arguments, _) => list.LongCount(item => Values.AreEqual(budget, item, arguments[0])),
        _ => null,
    };

    private static List<object?> Pairs(TemplateBudget budget, OrderedDictionary<string, object?> map)
    {
        budget.PayItems(10L * map.Count);
        return [.. map.Select(pair => (object?)new List<object?> { TemplateText.OfData(pair.Key), pair.Value })];
    }

    private static string? Characters(IReadOnlyList<object?> arguments) => arguments is [TemplateText characters] ? characters.Value : null;

    private static TemplateText[] Texts(TemplateBudget budget, IReadOnlyList<object?> arguments) => [.. arguments.Select(argument => Values.Text(budget, argument))];

    private static bool Any(TemplateBudget budget, IReadOnlyList<object?> arguments, Func<string, bool> matches)
    {
        foreach (var option in arguments[0] is List<object?> options ? options : [arguments[0]])
        {
            var text = Values.Text(budget, option);
            budget.Pay(16 + text.Length);
            if (matches(text.Value)) return true;
        }

        return false;
    }

    private static int Search(TemplateBudget budget, TemplateText text, IReadOnlyList<object?> arguments, Func<string, int> find)
    {
        var sought = Values.Text(budget, arguments[0]);
        budget.PaySearch(text.Length, sought.Length);
        return find(sought.Value);
    }

    private static long Found(TemplateBudget budget, string name, int at) => at >= 0 || name.EndsWith("find", StringComparison.Ordinal) ? at : throw budget.Fault($"'{name}' finds nothing");

    private static TemplateText Replace(TemplateBudget budget, TemplateText text, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named) =>
        TemplateFilters.Replace(budget, text, Values.Text(budget, arguments[0]), Values.Text(budget, arguments[1]), (arguments.Count > 2 ? arguments[2] : named.GetValueOrDefault("count")) is long count ? count : -1);

    private static List<object?> Split(TemplateBudget budget, TemplateText text, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, bool fromEnd)
    {
        var limit = (arguments.Count > 1 ? arguments[1] : named.GetValueOrDefault("maxsplit")) is long most ? most : -1;
        var separator = (arguments.Count > 0 ? arguments[0] : named.GetValueOrDefault("sep")) as TemplateText;
        if (separator is { Length: 0 }) throw budget.Fault("a text is split at an empty one");

        var parts = separator is null ? text.Words(budget, limit) : fromEnd ? text.SplitFromEnd(budget, separator.Value, limit) : text.Split(budget, separator.Value, limit);
        return parts.ConvertAll<object?>(part => part);
    }

    private static List<object?> Lines(TemplateBudget budget, TemplateText text)
    {
        var lines = text.Split(budget, "\n");
        if (lines[^1].Length == 0) lines.RemoveAt(lines.Count - 1);
        return lines.ConvertAll<object?>(line => line);
    }

    private static List<object?> Partition(TemplateBudget budget, TemplateText text, TemplateText separator, bool fromEnd)
    {
        var parts = fromEnd ? text.SplitFromEnd(budget, separator.Value, 1) : text.Split(budget, separator.Value, 1);
        return parts.Count == 2 ? [parts[0], separator, parts[1]] : fromEnd ? [TemplateText.Empty, TemplateText.Empty, text] : [text, TemplateText.Empty, TemplateText.Empty];
    }

    private static TemplateText Pad(TemplateBudget budget, TemplateText text, string name, IReadOnlyList<object?> arguments)
    {
        var width = arguments[0] is long given ? given : throw budget.Fault($"'{name}' takes a width");
        var missing = Math.Max(0, width - text.Length);
        budget.PayText(missing);
        var fill = name == "zfill" ? '0' : arguments.Count > 1 && arguments[1] is TemplateText { Length: 1 } one ? one.Value[0] : ' ';
        var left = name switch { "ljust" => 0, "center" => missing / 2, _ => missing };
        return TemplateText.Concat(budget, TemplateText.Of(new string(fill, (int)left)), text, TemplateText.Of(new string(fill, (int)(missing - left))));
    }
}
