namespace Serverless.Loops;

/// <summary>
/// How long to wait before the next try: doubling from the first pause to the longest. Each pause is drawn between half of it and the whole ("equal jitter", M. Brooker,
/// Exponential Backoff And Jitter, AWS 2015), so that a thousand callers that failed together do not come back together. Not thread-safe.
/// </summary>
public sealed class Backoff
{
    private readonly TimeSpan _first;
    private readonly TimeSpan _longest;
    private readonly Random _random;
    private TimeSpan _next;

    /// <param name="first">The longest that the first pause may be; above zero.</param>
    /// <param name="longest">The longest that any pause may be; no less than <paramref name="first"/>.</param>
    /// <param name="random">Where jitter comes from; null: <see cref="Random.Shared"/>.</param>
    public Backoff(TimeSpan first, TimeSpan longest, Random? random = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(first, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(longest, first);
        (_first, _longest, _next, _random) = (first, longest, first, random ?? Random.Shared);
    }

    /// <summary>Failures since the start or the last <see cref="Reset"/>.</summary>
    public int Failures { get; private set; }

    /// <summary>The pause before the next try; each call counts a failure.</summary>
    public TimeSpan Next()
    {
        var pause = _next * (0.5 + (_random.NextDouble() / 2));
        _next = _next < _longest / 2 ? _next * 2 : _longest;
        Failures++;
        return pause;
    }

    /// <summary>A try succeeded: the next pause is a first one again.</summary>
    public void Reset() => (_next, Failures) = (_first, 0);
}
