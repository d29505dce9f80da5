using System.CommandLine.Parsing;
using System.Globalization;

namespace Serverless.Cli.Parsing;

/// <summary>Durations as people write them: <c>500ms</c>, <c>90s</c>, <c>5m</c>, <c>1h</c>, or <c>00:05:00</c>.</summary>
internal static class DurationText
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1); // of timers
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    private static readonly (string Unit, TimeSpan Length)[] Units =
        [("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("m", TimeSpan.FromMinutes(1)), ("h", TimeSpan.FromHours(1))];

    /// <summary>One from a millisecond to a week.</summary>
    public static TimeSpan Parse(ArgumentResult result)
    {
        var text = result.Tokens[^1].Value;
        if (Read(text) is { } duration && duration >= Shortest && duration <= Longest) return duration;

        result.AddError($"{Numbers.NameOf(result)} is '{text}'; give a duration from 1ms to a week (168h), such as 90s, 5m or 1h.");
        return default;
    }

    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public static string Write(TimeSpan duration)
    {
        var (unit, length) = Units.Last(each => duration.Ticks % each.Length.Ticks == 0 || each.Unit == "ms");
        return string.Create(CultureInfo.InvariantCulture, $"{duration / length:0.###}{unit}");
    }

    private static TimeSpan? Read(string text)
    {
        foreach (var (unit, length) in Units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var count)
                && count * length.TotalHours <= Longest.TotalHours) return count * length;
        }

        return TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var duration) ? duration : null;
    }
}
