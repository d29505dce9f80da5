namespace Serverless.Leases;

/// <summary>How long rights last. A part that is lost is replaced within 15 s: its lease runs out, and then there is a moment to be sure.</summary>
public static class LeaseTimes
{
    /// <summary>A lease that was not renewed for so long is lost, to its holder and to everybody else.</summary>
    public static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(10);

    /// <summary>How often a holder renews: three tries before it is lost.</summary>
    public static readonly TimeSpan Renewal = TimeSpan.FromSeconds(3);

    /// <summary>The same of a lease that is held under another, with which it is lost: many hang on one, and are looked at to find what the store forgot.</summary>
    public static readonly TimeSpan TimeToLiveUnder = TimeSpan.FromSeconds(60);

    /// <summary>How often those are renewed.</summary>
    public static readonly TimeSpan RenewalUnder = TimeSpan.FromSeconds(20);

    /// <summary>
    /// A gateway whose lease is absent for so long is gone. Longer than it takes a living one to acquire it again: a store that was away lets every lease run out,
    /// and nobody's requests may end for that.
    /// </summary>
    public static readonly TimeSpan Absence = TimeSpan.FromSeconds(5);
}
