namespace Serverless.Benchmarks;

/// <summary>Of a list of times.</summary>
internal static class Percentiles
{
    /// <summary>The value that this share of them does not exceed.</summary>
    public static TimeSpan At(this IEnumerable<TimeSpan> times, double share)
    {
        var sorted = times.Order().ToArray();
        return sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
    }
}
