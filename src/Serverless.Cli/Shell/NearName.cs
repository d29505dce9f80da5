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
        if (names.Count == 0) return "There is none.";

        var more = names.Count > MostListed ? $" and {names.Count - MostListed} more" : "";
        var all = $"Known: {string.Join(", ", names.Take(MostListed))}{more}.";
        return Find(written, names) is { } near ? $"Did you mean '{near}'? {all}" : all;
    }

    /// <summary>Letters to put in, leave out, change, or swap with the next; their case aside.</summary>
    private static int Distance(string left, string right)
    {
        var (a, b) = (left.ToUpperInvariant(), right.ToUpperInvariant());
        int[] before = [], previous = [.. Enumerable.Range(0, b.Length + 1)];
        for (var i = 1; i <= a.Length; i++)
        {
            var row = new int[b.Length + 1];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                row[j] = Math.Min(Math.Min(row[j - 1], previous[j]) + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = Math.Min(row[j], before[j - 2] + 1);
            }

            (before, previous) = (previous, row);
        }

        return previous[^1];
    }
}
