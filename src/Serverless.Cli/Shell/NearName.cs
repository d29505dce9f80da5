namespace Serverless.Cli.Shell;

/// <summary>The name that was probably meant.</summary>
internal static class NearName
{
    private const int MostListed = 10;

    /// <summary>The nearest of <paramref name="names"/>, if it is near: a third of its letters may be wrong, or it goes on where what was written ends.</summary>
    public static string? Find(string written, IEnumerable<string> names)
    {
        var nearest = names.Distinct(StringComparer.Ordinal).Select(name => (Name: name, Distance: Distance(written, name))).OrderBy(each => each.Distance).ThenBy(each => each.Name, StringComparer.Ordinal).FirstOrDefault();
        return nearest.Name is { } found && nearest.Distance <= Math.Max(1, Math.Max(written.Length, found.Length) / 3)
            ? found
            : names.Where(name => written.Length > 1 && name.StartsWith(written, StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal).FirstOrDefault();
    }

    /// <summary>What follows a sentence that says there is no such name: the near one, and those that there are.</summary>
    public static string Hint(string written, IReadOnlyList<string> names)
    {
        if (names.Count == 0) return "There are none.";

        var more = names.Count > MostListed ? $" and {names.Count - MostListed} more" : "";
        var all = $"There {(names.Count == 1 ? "is" : "are")} {string.Join(", ", names.Take(MostListed))}{more}.";
        return Find(written, names) is { } near ? $"Did you mean '{near}'? {all}" : all;
    }

    /// <summary>Levenshtein's, letter case aside.</summary>
    private static int Distance(string left, string right)
    {
        int[] row = [.. Enumerable.Range(0, right.Length + 1)];
        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var cost = char.ToUpperInvariant(left[i - 1]) == char.ToUpperInvariant(right[j - 1]) ? 0 : 1;
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + cost));
            }
        }

        return row[^1];
    }
}
