namespace Serverless.Demand;

/// <summary>
/// How long a request takes at a replica, from its assignment to its end, as a decaying average over the last few dozens; nothing before there are a few, for the first ones pay for what an engine and
/// its process do once, and requests are refused by it. Not thread-safe.
/// </summary>
internal sealed class RunTimes
{
    private const double Step = 1.0 / 16;
    private const int Few = 4;

    private int _ended;
    private double _seconds;
    private double _outputTokens;

    /// <summary>On average; 0 before there are a few.</summary>
    public double Seconds => _ended < Few ? 0 : _seconds;

    /// <summary>Output tokens that were generated meanwhile; 0 before there are a few.</summary>
    public double OutputTokens => _ended < Few ? 0 : _outputTokens;

    /// <summary>One ended by itself.</summary>
    public void Ended(TimeSpan took, int outputTokens)
    {
        _ended++;
        var step = Math.Max(Step, 1.0 / _ended); // the mean of the first ones, whichever of them was slow
        _seconds += step * (took.TotalSeconds - _seconds);
        _outputTokens += step * (outputTokens - _outputTokens);
    }

    /// <summary>One was stopped: all that is known is that it would have taken longer.</summary>
    public void Stopped(TimeSpan after) => _seconds += Step * Math.Max(0, after.TotalSeconds - _seconds);

    /// <summary>What a request that may generate so many tokens is expected to take: no longer than others did.</summary>
    public static TimeSpan Of(double seconds, double outputTokens, long mostTokens) => TimeSpan.FromSeconds(seconds * (outputTokens > mostTokens ? mostTokens / outputTokens : 1));

    /// <inheritdoc cref="Of(double, double, long)"/>
    public TimeSpan For(long mostTokens) => Of(Seconds, OutputTokens, mostTokens);
}
