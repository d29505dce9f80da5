using Serverless.Hosting.Telemetry;

namespace Serverless.Cli.Commands;

/// <summary>Rows as lines of aligned columns, without rules: as wide as they are, so that a line can be read, cut and searched.</summary>
internal static class Columns
{
    private const string Gap = "  ";

    /// <summary>The head, and a line each.</summary>
    /// <param name="head">Names of the columns.</param>
    /// <param name="rows">As many cells each.</param>
    /// <param name="numbers">Columns that are set to the right.</param>
    /// <param name="width">What the last column is cut to; null: it is whole.</param>
    public static IReadOnlyList<string> Lines(string[] head, IEnumerable<string[]> rows, Range numbers, int? width)
    {
        string[][] lines = [head, .. rows.Select(row => Array.ConvertAll(row, PlainText.OneLine))];
        var last = head.Length - 1;
        var (firstNumber, count) = numbers.GetOffsetAndLength(head.Length);
        int[] widths = [.. Enumerable.Range(0, last).Select(column => lines.Max(line => line[column].Length))];
        var left = (width ?? int.MaxValue) - widths.Sum(column => column + Gap.Length);
        return [.. lines.Select(line =>
        {
            var end = firstNumber + count > last ? line[last].PadLeft(lines.Max(each => each[last].Length)) : line[last];
            if (end.Length > left) end = left > 1 ? $"{end[..(left - 1)]}…" : "";
            var cells = widths.Select((column, index) => index >= firstNumber && index < firstNumber + count ? line[index].PadLeft(column) : line[index].PadRight(column));
            return string.Join(Gap, [.. cells, end]).TrimEnd();
        })];
    }
}
