using System.Globalization;
using System.Text.Json;

namespace Serverless.Inference.Templates;

/// <summary>The names that every chat template finds: the input, and the functions that Hugging Face's tokenizers give.</summary>
internal static class TemplateGlobals
{
    private const int MaxRange = 100_000;

    public static TemplateScope Scope(ChatTemplateInput input, List<TemplateText> output)
    {
        var scope = new TemplateScope(null, new TemplateBudget(), output)
        {
            ["messages"] = Messages(input.Messages),
            ["tools"] = input.Tools is { } tools ? Values.FromJson(tools) : null,
            ["add_generation_prompt"] = input.AddGenerationPrompt,
            ["bos_token"] = TemplateText.Of(input.BosToken),
            ["eos_token"] = TemplateText.Of(input.EosToken),
            ["raise_exception"] = new TemplateCall((arguments, _) => throw new TemplateException(arguments is [var message, ..] ? Values.Text(message).Value : "The template refuses the messages.")),
            ["namespace"] = new TemplateCall(Map),
            ["dict"] = new TemplateCall(Map),
            ["range"] = new TemplateCall((arguments, _) => Range(arguments)),
            ["strftime_now"] = new TemplateCall((arguments, _) => TemplateText.Of(Time(input.Now, Values.Text(arguments[0]).Value))),
        };
        if (input.Extra is not { ValueKind: JsonValueKind.Object } extra) return scope;

        foreach (var variable in extra.EnumerateObject()) scope[variable.Name] = Values.FromJson(variable.Value);
        return scope;
    }

    /// <summary>Messages whose content is a list of text parts get it as one text: most templates know no parts.</summary>
    private static object? Messages(JsonElement messages)
    {
        var values = Values.FromJson(messages);
        foreach (var message in (values as List<object?> ?? []).OfType<OrderedDictionary<string, object?>>())
        {
            if (!message.TryGetValue("content", out var content) || content is not List<object?> parts) continue;

            var texts = parts.Select(part => part is IDictionary<string, object?> map && map.TryGetValue("text", out var text) ? text as TemplateText : null).ToList();
            if (texts.TrueForAll(text => text is not null)) message["content"] = TemplateText.Concat(texts!);
        }

        return values;
    }

    private static OrderedDictionary<string, object?> Map(IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named)
    {
        var map = new OrderedDictionary<string, object?>(StringComparer.Ordinal);
        if (arguments is [IDictionary<string, object?> given]) foreach (var (key, value) in given) map[key] = value;
        foreach (var (key, value) in named) map[key] = value;
        return map;
    }

    private static List<object?> Range(IReadOnlyList<object?> arguments)
    {
        var numbers = arguments.Select(argument => argument is long number ? number : throw new TemplateException("range takes whole numbers.")).ToArray();
        var (start, end, step) = numbers switch
        {
            [var last] => (0, last, 1L),
            [var first, var last] => (first, last, 1L),
            [var first, var last, var by] when by != 0 => (first, last, by),
            _ => throw new TemplateException("range takes one to three numbers, the step not 0."),
        };
        List<object?> range = [];
        for (var i = start; step > 0 ? i < end : i > end; i += step)
        {
            if (range.Count >= MaxRange) throw new TemplateException($"range gives more than {MaxRange} numbers.");
            range.Add(i);
        }

        return range;
    }

    private static string Time(DateTimeOffset now, string format) => string.Concat(format.Split('%').Select((part, index) => index == 0 || part.Length == 0 ? part : part[0] switch
    {
        'Y' => now.ToString("yyyy", CultureInfo.InvariantCulture),
        'm' => now.ToString("MM", CultureInfo.InvariantCulture),
        'd' => now.ToString("dd", CultureInfo.InvariantCulture),
        'H' => now.ToString("HH", CultureInfo.InvariantCulture),
        'M' => now.ToString("mm", CultureInfo.InvariantCulture),
        'S' => now.ToString("ss", CultureInfo.InvariantCulture),
        'b' => now.ToString("MMM", CultureInfo.InvariantCulture),
        'B' => now.ToString("MMMM", CultureInfo.InvariantCulture),
        'a' => now.ToString("ddd", CultureInfo.InvariantCulture),
        'A' => now.ToString("dddd", CultureInfo.InvariantCulture),
        'y' => now.ToString("yy", CultureInfo.InvariantCulture),
        _ => "%" + part[0],
    } + part[1..]));
}
