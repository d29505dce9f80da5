namespace Serverless.Demand;

/// <summary>
/// Quantiles of lengths over the last few hundred, in bounded memory: a histogram of bins 15 % wide, the prior one of their edges, whose weights fade. One sample moves a quantile by at most
/// its weight. Not thread-safe.
/// </summary>
internal sealed class LengthHistogram
{
    /// <summary>The upper edge of a bin over its lower one: a quantile is at most this many times too long, and never too short.</summary>
    public const double Ratio = 1.15;

    private const int Bins = 96; // 1.15^95 is above 500,000 tokens
    private const double Fade = 0.995;

    private readonly double[] _weights = new double[Bins];
    private readonly double _prior;
    private readonly int _priorBin;
    private double _sum;

    /// <summary>Begins as if <paramref name="weight"/> answers of length <paramref name="prior"/> (at least 1) had been seen.</summary>
    public LengthHistogram(double prior, double weight)
    {
        _prior = prior;
        _priorBin = (int)Math.Ceiling(Math.Log(prior) / Math.Log(Ratio));
        _weights[_priorBin] = weight;
        _sum = weight;
    }

    public void Add(double length)
    {
        if (!double.IsFinite(length)) return;

        for (var i = 0; i < Bins; i++) _weights[i] *= Fade;
        _sum = (_sum * Fade) + 1;
        _weights[Bin(length)]++;
    }

    /// <summary>The length that a share of the answers does not exceed: the upper edge of its bin.</summary>
    public double Quantile(double share)
    {
        var left = share * _sum;
        for (var i = 0; i < Bins; i++)
        {
            left -= _weights[i];
            if (left <= 1e-9) return Edge(i);
        }

        return Edge(Bins - 1);
    }

    /// <summary>The first bin is for a token or none.</summary>
    private double Edge(int bin) => bin == 0 ? 1 : _prior * Math.Pow(Ratio, bin - _priorBin);

    private int Bin(double length) => length <= 1 ? 0 : Math.Clamp((int)Math.Ceiling((Math.Log(length / _prior) / Math.Log(Ratio)) - 1e-9) + _priorBin, 0, Bins - 1);
}
