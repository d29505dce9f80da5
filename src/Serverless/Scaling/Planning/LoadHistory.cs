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

    /// <summary>Weights of all bins, as releases before 0.3 wrote them: read, and not written.</summary>
    public ImmutableArray<double>? Weights { get; init; }

    /// <summary>Weight times load of all bins, as they wrote it.</summary>
    public ImmutableArray<double>? Sums { get; init; }

    /// <summary>Adds what arrives now: work at <paramref name="rate"/> (replica-seconds per second) under <paramref name="load"/>. At most once a second.</summary>
    internal LoadHistory Add(double load, double rate, TimeSpan memory, DateTimeOffset now)
    {
        var (bins, passed) = (Known(), now - At);
        if (bins.IsEmpty && (rate <= 0 || !double.IsFinite(rate))) return this;
        if (!bins.IsEmpty && passed >= TimeSpan.Zero && passed < Interval) return this;

        var seconds = bins.IsEmpty ? 1 : Math.Clamp(passed.TotalSeconds, 0, 10); // a gap in the plans is not a long burst
        var fade = Math.Exp(-Math.Max(0, passed.TotalSeconds) / memory.TotalSeconds);
        var next = ImmutableArray.CreateBuilder<LoadBin>(bins.Length + 1);
        var added = load > 0 && rate > 0 ? new LoadBin(BinOf(load), rate * seconds, Math.Min(load, Highest)) : default;
        var least = Faded * ((bins.Sum(bin => bin.Weight) * fade) + added.Weight);
        foreach (var bin in bins)
        {
            if (added.Weight > 0 && added.Bin < bin.Bin) Take(ref added);
            var faded = bin with { Weight = bin.Weight * fade, Load = Math.Min(bin.Load, Highest) };
            if (added.Weight > 0 && added.Bin == bin.Bin)
            {
                faded = new LoadBin(bin.Bin, faded.Weight + added.Weight, ((faded.Load * faded.Weight) + (added.Load * added.Weight)) / (faded.Weight + added.Weight));
                added = default;
            }

            if (faded.Weight > least) next.Add(faded);
        }

        if (added.Weight > 0) Take(ref added);
        return new LoadHistory { Bins = next.DrainToImmutable(), At = now };

        void Take(ref LoadBin one)
        {
            next.Add(one);
            one = default;
        }
    }

    /// <summary>The load not exceeded for that share of the work; 0 when none was seen.</summary>
    internal double Quantile(double share)
    {
        var bins = Known();
        var sum = bins.Sum(bin => bin.Weight);
        if (!(sum > 1e-9) || share <= 0) return 0;

        var left = share * sum;
        foreach (var bin in bins)
        {
            left -= bin.Weight;
            if (left <= 1e-9 * sum) return bin.Load;
        }

        return bins[^1].Load;
    }

    private static int BinOf(double load) => Math.Clamp((int)Math.Ceiling(Math.Log(load / Lowest) / Math.Log(Ratio)), 0, MostBins - 1);

    /// <summary>The bins; from all of an earlier release's, whose load is their upper edge where even earlier ones kept no sums.</summary>
    private ImmutableArray<LoadBin> Known()
    {
        if (!Bins.IsDefaultOrEmpty || Weights is not { IsDefaultOrEmpty: false } weights) return Bins.IsDefault ? [] : Bins;

        var sums = Sums is { IsDefault: false } known ? known : [];
        return
        [
            .. weights.Take(MostBins).Select((weight, bin) => new LoadBin(bin, weight, bin < sums.Length && weight > 0 ? sums[bin] / weight : Lowest * Math.Pow(Ratio, bin)))
                .Where(bin => bin.Weight > 0 && double.IsFinite(bin.Weight) && double.IsFinite(bin.Load)),
        ];
    }
}

/// <summary>Loads of about one height.</summary>
/// <param name="Bin">Which: each is 10 % higher than the one before.</param>
/// <param name="Weight">Work that came at them, faded.</param>
/// <param name="Load">Their mean.</param>
public readonly record struct LoadBin(int Bin, double Weight, double Load);
