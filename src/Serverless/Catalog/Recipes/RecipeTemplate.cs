using System.Globalization;
using System.Text.RegularExpressions;

namespace Serverless.Catalog.Recipes;

/// <summary>Fills in the variables of arguments as llmaz writes them: <c>{{ .ModelPath }}</c>. One pass: what a value holds is never read again.</summary>
internal static partial class RecipeTemplate
{
    /// <summary>An argument may be as long, filled in.</summary>
    public const int Longest = 8192;

    /// <summary>
    /// The arguments with these variables. One that is nothing but a variable without a value is left out, and so is the flag before it. Faults are told with their field.
    /// </summary>
    public static IReadOnlyList<string> Fill(IReadOnlyList<string> args, string field, IReadOnlyDictionary<string, string?> variables, Action<string, string> fault)
    {
        var filled = new List<string>();
        for (var i = 0; i < args.Count; i++)
        {
            var at = string.Create(CultureInfo.InvariantCulture, $"{field}[{i}]");
            if (Variable().Match(args[i]) is { Success: true } whole && whole.Length == args[i].Length && variables.TryGetValue(whole.Groups[1].Value, out var only) && only is null && whole.Groups[1].Value != RecipeRenderer.DraftModelPath)
            {
                if (filled.Count > 0 && filled[^1].StartsWith('-') && !filled[^1].Contains('=', StringComparison.Ordinal)) filled.RemoveAt(filled.Count - 1);
                continue;
            }

            if (FillOne(args[i], at, variables, fault) is { } text) filled.Add(text);
        }

        return filled;
    }

    private static string? FillOne(string text, string field, IReadOnlyDictionary<string, string?> variables, Action<string, string> fault)
    {
        var known = string.Join(", ", variables.Keys.Select(name => $".{name}"));
        var literal = Variable().Replace(text, "");
        if (literal.Contains("{{", StringComparison.Ordinal))
        {
            fault(field, $"is '{text}', in which '{{{{' begins no variable; write {{{{ .ModelPath }}}}. Known are {known}");
            return null;
        }

        string? wrong = null;
        var filled = Variable().Replace(text, match =>
        {
            var name = match.Groups[1].Value;
            if (!variables.TryGetValue(name, out var value)) wrong ??= $"names the variable .{name}, which there is not; known are {known}";
            else if (value is null) wrong ??= name == RecipeRenderer.DraftModelPath ? "needs a draft model; claim one of role draft" : $"needs .{name}, which this model does not say";
            return value ?? "";
        });
        if (filled.Length > Longest) wrong ??= string.Create(CultureInfo.InvariantCulture, $"is {filled.Length} characters long, filled in; {Longest} are allowed");
        if (wrong is null) return filled;

        fault(field, wrong);
        return null;
    }

    [GeneratedRegex(@"\{\{ *\.([A-Za-z]\w*) *\}\}", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Variable();
}
