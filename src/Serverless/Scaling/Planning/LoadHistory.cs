using System.Collections.Immutable;

namespace Serverless.Scaling.Planning;

/// <summary>
/// The loads under which work arrived lately: a histogram of bins 10 % wide, each unit of work one weight at the load of its moment, fading with time. Its quantile is the load that
/// suffices for that share of the work, as the mean of its bin: for an even stream the stream itself, for a bursty one the bursts. Only bins that hold something are kept: an even stream has one or two.
/// Immutable plain data.
/// </summary>
public sealed record LoadHistory
{
    private const double Ratio = 1.1;
    private const double Lowest = 0.05;
    private const int MostBins = 110;

    /// <summary>Beyond it the scale goes into the bins: far from 1 they would end where loads still come.</summary>
    private const double MostLogScale = 1;

    /// <summary>What has faded to this share of all moves no quantile.</summary>
    private const double Faded = 1e-6;

    private static readonly double Highest = Lowest * Math.Pow(Ratio, MostBins - 1); // 1,600 replicas at full use

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>No load seen.</summary>
    public static LoadHistory Nothing { get; } = new();

    /// <summary>The bins that hold something, ascending.</summary>
    public ImmutableArray<LoadBin> Bins { get; init; } = [];

    /// <summary>When it was last added to.</summary>
    public DateTimeOffset At { get; init; }

    /// <summary>
    /// Logarithm of what the bins' loads and weights are multiplied by: loads are counted in replicas, and what a replica does is learned meanwhile. Stretched as a whole, bins stay apart as they were.
    /// </summary>
    public double LogScale { get; init; }

    private double Scale => Math.Exp(LogScale);

    /// <summary>The same loads where a replica turned out to take <paramref name="ratio"/> times as long for the work that comes.</summary>
    internal LoadHistory Rescaled(double ratio)
    {
        if (Bins.IsDefaultOrEmpty || ratio == 1 || !double.IsFinite(ratio) || ratio <= 0) return this;
        var scaled = this with { LogScale = LogScale + Math.Log(ratio) };
        return Math.Abs(scaled.LogScale) > MostLogScale ? scaled.Folded() : scaled;
    }

    /// <summary>
    /// Adds what arrives now: work at <paramref name="rate"/> (replica-seconds per second) under <paramref name="load"/>, which no more than <paramref name="most"/> replicas could share. At most once a second.
    /// </summary>
    internal LoadHistory Add(double load, double rate, TimeSpan memory, DateTimeOffset now, double most = PlannerWork.MostReplicas)
    {
        var (bins, passed) = (Bins.IsDefault ? [] : Bins, now - At);
        if (bins.IsEmpty && (rate <= 0 || !double.IsFinite(rate))) return this;
        if (!bins.IsEmpty && passed >= TimeSpan.Zero && passed < Interval) return this;

        var seconds = bins.IsEmpty ? 1 : Math.Clamp(passed.TotalSeconds, 0, 10); // a gap in the plans is not a long burst
        var fade = Math.Exp(-Math.Max(0, passed.TotalSeconds) / memory.TotalSeconds);
        var next = ImmutableArray.CreateBuilder<LoadBin>(bins.Length + 1);
        var scale = bins.IsEmpty ? 1 : Scale;
        var added = load > 0 && rate > 0 ? new LoadBin(BinOf(Math.Min(load, most) / scale), rate * seconds / scale, Math.Min(load / scale, Highest), most, load > most) : default;
        var least = Faded * ((bins.Sum(bin => bin.Weight) * fade) + added.Weight);
        foreach (var bin in bins)
        {
            if (added.Weight > 0 && added.IsBefore(bin)) Take(ref added);
            var faded = bin with { Weight = bin.Weight * fade, Load = Math.Min(bin.Load, Highest) };
            if (added.Weight > 0 && added.IsLike(bin))
            {
                faded = faded.And(added);
                added = default;
            }

            if (faded.Weight > least) next.Add(faded);
        }

        if (added.Weight > 0) Take(ref added);
        return new LoadHistory { Bins = next.DrainToImmutable(), LogScale = bins.IsEmpty ? 0 : LogScale, At = now };

        void Take(ref LoadBin one)
        {
            next.Add(one);
            one = default;
        }
    }

    /// <summary>The load not exceeded for that share of the work; 0 when none was seen.</summary>
    internal double Quantile(double share)
    {
        var bins = Bins.IsDefault ? [] : Bins;
        var sum = bins.Sum(bin => bin.Weight);
        if (!(sum > 1e-9) || share <= 0) return 0;

        var (left, highest) = (share * sum, 0.0);
        foreach (var (weight, load) in bins.Select(bin => (bin.Weight, Load: Math.Min(bin.Load * Scale, bin.Most))).OrderBy(bin => bin.Load))
        {
            (left, highest) = (left - weight, load);
            if (left <= 1e-9 * sum) break;
        }

        return highest;
    }

    /// <summary>The same with a scale of one.</summary>
    private LoadHistory Folded()
    {
        var bins = Bins.Select(bin => bin with { Bin = BinOf(Math.Min(bin.Load * Scale, bin.Most)), Weight = bin.Weight * Scale, Load = Math.Min(bin.Load * Scale, Highest), IsCapped = bin.Load * Scale > bin.Most })
            .GroupBy(bin => (bin.Bin, bin.IsCapped)).OrderBy(like => like.Key).Select(like => like.Aggregate((one, other) => one.And(other)));
        return this with { Bins = [.. bins], LogScale = 0 };
    }

    private static int BinOf(double load) => Math.Clamp((int)Math.Ceiling(Math.Log(load / Lowest) / Math.Log(Ratio)), 0, MostBins - 1);
}

/// <summary>Loads of about one height.</summary>
/// <param name="Bin">Which: each is 10 % higher than the one before.</param>
/// <param name="Weight">Work that came at them, faded.</param>
/// <param name="Load">Their mean, in replicas however many could share it.</param>
/// <param name="Most">Replicas that could share them, on average: never more than there were requests. 0: not known, as many as there are.</param>
/// <param name="IsCapped">Whether that was fewer than the load: a few large requests and many small ones are no load of both.</param>
public readonly record struct LoadBin(int Bin, double Weight, double Load, double Most, bool IsCapped)
{
    /// <inheritdoc cref="LoadBin(int, double, double, double, bool)"/>
    public double Most { get; init; } = Most > 0 ? Most : PlannerWork.MostReplicas;

    /// <summary>Both together.</summary>
    internal LoadBin And(LoadBin other)
    {
        var weight = Weight + other.Weight;
        return new LoadBin(Bin, weight, ((Load * Weight) + (other.Load * other.Weight)) / weight, ((Most * Weight) + (other.Most * other.Weight)) / weight, IsCapped);
    }

    internal bool IsLike(LoadBin other) => (Bin, IsCapped) == (other.Bin, other.IsCapped);

    internal bool IsBefore(LoadBin other) => (Bin, IsCapped).CompareTo((other.Bin, other.IsCapped)) < 0;
}
