using System.Globalization;
using System.Text;

namespace Serverless.Hosting.Telemetry;

/// <summary>
/// Text of others - of clients, models, servers - before it is shown: whoever wrote it must not write lines of the log, colour them, set the terminal's title, fill its clipboard, or turn
/// what stands beside it from right to left.
/// </summary>
public static class PlainText
{
    /// <summary>On one line: what would end a line or move a cursor is a blank, and what cannot be seen is left out.</summary>
    public static string OneLine(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~')) return text;

        var line = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            switch (Rune.GetUnicodeCategory(rune))
            {
                case UnicodeCategory.Format:
                    break;
                case UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator:
                    if (line.Length > 0 && line[^1] != ' ') line.Append(' ');
                    break;
                default:
                    line.Append(rune);
                    break;
            }
        }

        return line.ToString().TrimEnd();
    }

    /// <summary>The same for each of its lines.</summary>
    public static string Lines(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.AsSpan().ContainsAnyExceptInRange(' ', '~') ? string.Join('\n', text.ReplaceLineEndings("\n").Split('\n').Select(OneLine)) : text;
    }

    /// <summary>An answer in any language, or a piece of one: as it came, line ends and tabs too, but for what a terminal obeys.</summary>
    public static string Answer(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Any(IsObeyed) ? string.Concat(text.Where(letter => !IsObeyed(letter))) : text;
    }

    /// <summary>JSON whose strings show what cannot be seen; it says the same.</summary>
    public static string InJson(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        if (!json.AsSpan().ContainsAnyInRange('\u007f', '\uffff')) return json;

        var shown = new StringBuilder(json.Length);
        foreach (var rune in json.EnumerateRunes())
        {
            if (Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Format or UnicodeCategory.Control) || rune.Value < ' ') shown.Append(rune);
            else foreach (var unit in rune.ToString()) shown.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
        }

        return shown.ToString();
    }

    private static bool IsObeyed(char letter) => char.IsControl(letter) && letter is not ('\n' or '\t');
}
