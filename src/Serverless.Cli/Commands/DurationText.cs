using System.CommandLine.Parsing;
using System.Globalization;

namespace Serverless.Cli.Commands;

/// <summary>Durations as people write them: <c>500ms</c>, <c>90s</c>, <c>5m</c>, <c>1h</c>, or <c>00:05:00</c>.</summary>
internal static class DurationText
{
    private static readonly (string Unit, TimeSpan Length)[] Units =
        [("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("m", TimeSpan.FromMinutes(1)), ("h", TimeSpan.FromHours(1))];

    public static TimeSpan Parse(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        foreach (var (unit, length) in Units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var count)
                && count * length.TotalHours <= 24 * 7) return count * length;
        }

        if (TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var duration) && duration >= TimeSpan.Zero) return duration;

        result.AddError($"'{text}' is not a duration up to a week; write 90s, 5m or 1h.");
        return default;
    }
}
