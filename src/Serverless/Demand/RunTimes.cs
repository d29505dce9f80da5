namespace Serverless.Demand;

/// <summary>How long a request takes at a replica, from its assignment to its end, as a decaying average over the last few dozens. Not thread-safe.</summary>
internal sealed class RunTimes
{
    private const double Step = 1.0 / 16;

    /// <summary>On average; 0 before the first.</summary>
    public double Seconds { get; private set; }

    /// <summary>Output tokens that were generated meanwhile.</summary>
    public double OutputTokens { get; private set; }

    /// <summary>One ended by itself.</summary>
    public void Ended(TimeSpan took, int outputTokens)
    {
        var step = Seconds > 0 ? Step : 1;
        Seconds += step * (took.TotalSeconds - Seconds);
        OutputTokens += step * (outputTokens - OutputTokens);
    }

    /// <summary>One was stopped: all that is known is that it would have taken longer.</summary>
    public void Stopped(TimeSpan after) => Seconds += Step * Math.Max(0, after.TotalSeconds - Seconds);

    /// <summary>What a request that may generate so many tokens is expected to take: no longer than others did.</summary>
    public static TimeSpan Of(double seconds, double outputTokens, long mostTokens) => TimeSpan.FromSeconds(seconds * (outputTokens > mostTokens ? mostTokens / outputTokens : 1));

    /// <inheritdoc cref="Of(double, double, long)"/>
    public TimeSpan For(long mostTokens) => Of(Seconds, OutputTokens, mostTokens);
}
