using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;

namespace Serverless.Inference.Templates;

/// <summary>The names that every chat template finds: the input, and the functions that Hugging Face's tokenizers give.</summary>
internal static class TemplateGlobals
{
    private const int MaxRange = 100_000;
    private const int MaxMessage = 500;

    /// <summary>Names that the server sets; a request's own variables may not take them.</summary>
    public static FrozenSet<string> Reserved { get; } = FrozenSet.Create(
        StringComparer.Ordinal, ["messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "raise_exception", "namespace", "dict", "range", "strftime_now"]);

    public static TemplateScope Scope(TemplateBudget budget, ChatTemplateInput input, bool knowsDevelopers, List<TemplateText> output)
    {
        var scope = new TemplateScope(null, budget, output)
        {
            ["messages"] = Messages(budget, input.Messages, knowsDevelopers),
            ["tools"] = input.Tools is { } tools ? Values.FromJson(budget, tools) : null,
            ["add_generation_prompt"] = input.AddGenerationPrompt,
            ["bos_token"] = TemplateText.Of(input.BosToken),
            ["eos_token"] = TemplateText.Of(input.EosToken),
            ["raise_exception"] = new TemplateCall((inner, arguments, _) => throw Raised(arguments is [var message, ..] ? Values.Text(inner, message).Value : "")),
            ["namespace"] = new TemplateCall(Map),
            ["dict"] = new TemplateCall(Map),
            ["range"] = new TemplateCall((inner, arguments, _) => Range(inner, arguments)),
            ["strftime_now"] = new TemplateCall((inner, arguments, _) => TemplateText.Of(Time(inner, input.Now, Values.Text(inner, arguments[0]).Value))),
        };
        if (input.Extra is not { ValueKind: JsonValueKind.Object } extra) return scope;

        foreach (var variable in extra.EnumerateObject())
        {
            if (Reserved.Contains(variable.Name)) throw new TemplateException($"The variable '{variable.Name}' is the server's own and cannot be given.");
            scope[variable.Name] = Values.FromJson(budget, variable.Value);
        }

        return scope;
    }

    private static TemplateException Raised(string message) => new(message.Length == 0 ? "The template refuses the messages." : message.Length <= MaxMessage ? message : message[..MaxMessage] + "…");

    /// <summary>Messages in the form that most templates know: content as one text, a developer's as a system's, and no content beside tool calls as none.</summary>
    private static object? Messages(TemplateBudget budget, JsonElement messages, bool knowsDevelopers)
    {
        var values = Values.FromJson(budget, messages);
        foreach (var message in (values as List<object?> ?? []).OfType<OrderedDictionary<string, object?>>())
        {
            var role = (message.GetValueOrDefault("role") as TemplateText)?.Value;
            if (role == "developer" && !knowsDevelopers) message["role"] = TemplateText.OfData("system");

            var content = message.GetValueOrDefault("content");
            if (content is null && role == "assistant") Values.Set(budget, message, "content", NoContent.Value);
            if (content is not List<object?> parts) continue;

            budget.PayItems(parts.Count);
            var texts = parts.ConvertAll(part => part is IDictionary<string, object?> map ? (map.TryGetValue("text", out var text) || map.TryGetValue("refusal", out text) ? text as TemplateText : null) : null);
            if (texts.TrueForAll(text => text is not null)) message["content"] = TemplateText.Concat(budget, [.. texts!]);
        }

        return values;
    }

    private static OrderedDictionary<string, object?> Map(TemplateBudget budget, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named)
    {
        var map = Values.NewMap(budget);
        if (arguments is [IDictionary<string, object?> given]) foreach (var (key, value) in given) Values.Set(budget, map, key, value);
        foreach (var (key, value) in named) Values.Set(budget, map, key, value);
        return map;
    }

    private static List<object?> Range(TemplateBudget budget, IReadOnlyList<object?> arguments)
    {
        var numbers = arguments.Select(argument => argument is long number ? number : throw budget.Fault("range takes whole numbers")).ToArray();
        var (start, end, step) = numbers switch
        {
            [var last] => (0, last, 1L),
            [var first, var last] => (first, last, 1L),
            [var first, var last, var by] when by != 0 => (first, last, by),
            _ => throw budget.Fault("range takes one to three numbers, the step not 0"),
        };
        List<object?> range = [];
        for (var i = start; step > 0 ? i < end : i > end; i = checked(i + step))
        {
            if (range.Count >= MaxRange) throw budget.Fault($"range gives more than {MaxRange} numbers");
            budget.Pay(48);
            range.Add(i);
        }

        return range;
    }

    private static string Time(TemplateBudget budget, DateTimeOffset now, string format)
    {
        budget.Pay(64L * format.Length);
        return string.Concat(format.Split('%').Select((part, index) => index == 0 || part.Length == 0 ? part : Part(now, part[0]) + part[1..]));
    }

    private static string Part(DateTimeOffset now, char code) => code switch
    {
        'Y' => now.ToString("yyyy", CultureInfo.InvariantCulture),
        'm' => now.ToString("MM", CultureInfo.InvariantCulture),
        'd' => now.ToString("dd", CultureInfo.InvariantCulture),
        'H' => now.ToString("HH", CultureInfo.InvariantCulture),
        'I' => now.ToString("hh", CultureInfo.InvariantCulture),
        'M' => now.ToString("mm", CultureInfo.InvariantCulture),
        'S' => now.ToString("ss", CultureInfo.InvariantCulture),
        'p' => now.ToString("tt", CultureInfo.InvariantCulture),
        'b' => now.ToString("MMM", CultureInfo.InvariantCulture),
        'B' => now.ToString("MMMM", CultureInfo.InvariantCulture),
        'a' => now.ToString("ddd", CultureInfo.InvariantCulture),
        'A' => now.ToString("dddd", CultureInfo.InvariantCulture),
        'y' => now.ToString("yy", CultureInfo.InvariantCulture),
        'F' => now.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        'T' => now.ToString("HH:mm:ss", CultureInfo.InvariantCulture),
        _ => "%" + code,
    };
}
