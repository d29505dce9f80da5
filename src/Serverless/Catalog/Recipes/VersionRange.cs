using System.Globalization;

namespace Serverless.Catalog.Recipes;

/// <summary>Releases of an engine: <c>&gt;=0.8.3</c>, <c>&lt;0.11</c>, or both with a blank between.</summary>
/// <param name="From">The first; null: any before.</param>
/// <param name="Before">The first that is none of them; null: any after.</param>
public sealed record VersionRange(Version? From, Version? Before)
{
    /// <summary>As it is written; null: it is none.</summary>
    public static VersionRange? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var range = new VersionRange(null, null);
        foreach (var bound in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (bound.StartsWith(">=", StringComparison.Ordinal) && range.From is null && Number(bound[2..]) is { } from) range = range with { From = from };
            else if (bound.StartsWith('<') && range.Before is null && Number(bound[1..]) is { } before) range = range with { Before = before };
            else return null;
        }

        return range.From is null && range.Before is null ? null : range;
    }

    /// <summary>Whether a tag is of them. One that is no number (<c>latest</c>, <c>nightly</c>) is the newest.</summary>
    public bool Holds(string? tag)
    {
        var version = tag is null ? null : Number(tag.TrimStart('v'));
        return version is null ? Before is null : (From is null || version >= From) && (Before is null || version < Before);
    }

    /// <summary>What leads a tag (<c>0.8.5.post1</c>, <c>0.4.5-cu121</c>), of three parts.</summary>
    private static Version? Number(string text)
    {
        var parts = new List<int>();
        foreach (var part in text.Split('.', '-', '+', '_').Take(3))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) break;
            parts.Add(number);
        }

        return parts.Count < 2 ? null : new Version(parts[0], parts[1], parts.Count > 2 ? parts[2] : 0);
    }
}
