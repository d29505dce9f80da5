using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Serverless.Scaling.Planning;

/// <summary>
/// The loads under which work arrived lately: a histogram of bins 10 % wide, each unit of work one weight at the load of its moment, fading with time. Its quantile is the load that
/// suffices for that share of the work, as the mean of its bin: for an even stream the stream itself, for a bursty one the bursts. Immutable plain data.
/// </summary>
public sealed record LoadHistory
{
    private const double Ratio = 1.1;
    private const double Lowest = 0.05;
    private const int Bins = 110;

    private static readonly double Highest = Lowest * Math.Pow(Ratio, Bins - 1); // 1,600 replicas at full use

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>No load seen.</summary>
    public static LoadHistory Nothing { get; } = new();

    /// <summary>Weights by bin; empty before the first load.</summary>
    public ImmutableArray<double> Weights { get; init; } = [];

    /// <summary>Weight times load by bin.</summary>
    public ImmutableArray<double> Sums { get; init; } = [];

    /// <summary>When it was last added to.</summary>
    public DateTimeOffset At { get; init; }

    /// <summary>Adds what arrives now: work at <paramref name="rate"/> (replica-seconds per second) under <paramref name="load"/>. At most once a second.</summary>
    internal LoadHistory Add(double load, double rate, TimeSpan memory, DateTimeOffset now)
    {
        var passed = now - At;
        if (Weights.IsEmpty && (rate <= 0 || !double.IsFinite(rate))) return this;
        if (!Weights.IsEmpty && passed >= TimeSpan.Zero && passed < Interval) return this;

        var seconds = Weights.IsEmpty ? 1 : Math.Clamp(passed.TotalSeconds, 0, 10); // a gap in the plans is not a long burst
        var fade = Weights.IsEmpty ? 0 : Math.Exp(-Math.Max(0, passed.TotalSeconds) / memory.TotalSeconds);
        var (weights, sums) = (new double[Bins], new double[Bins]);
        for (var i = 0; i < Weights.Length && i < Bins; i++) (weights[i], sums[i]) = (Weights[i] * fade, Math.Min(Load(i), Highest) * Weights[i] * fade);
        if (load > 0 && rate > 0)
        {
            var bin = Math.Clamp((int)Math.Ceiling(Math.Log(load / Lowest) / Math.Log(Ratio)), 0, Bins - 1);
            weights[bin] += rate * seconds;
            sums[bin] += Math.Min(load, Highest) * rate * seconds;
        }

        return new LoadHistory { Weights = ImmutableCollectionsMarshal.AsImmutableArray(weights), Sums = ImmutableCollectionsMarshal.AsImmutableArray(sums), At = now };
    }

    /// <summary>The load not exceeded for that share of the work; 0 when none was seen.</summary>
    internal double Quantile(double share)
    {
        var sum = Weights.Sum();
        if (!(sum > 1e-9) || share <= 0) return 0;

        var left = share * sum;
        for (var i = 0; i < Weights.Length; i++)
        {
            left -= Weights[i];
            if (left <= 1e-9 * sum) return Load(i);
        }

        return Highest;
    }

    /// <summary>The mean load of a bin; its upper edge where memory of an earlier version kept no sums.</summary>
    private double Load(int bin) => bin < Sums.Length && Weights[bin] > 0 ? Sums[bin] / Weights[bin] : Lowest * Math.Pow(Ratio, bin);
}
