namespace Serverless.Dispatching;

/// <summary>Quantiles of lengths over the last few hundred, in bounded memory: a histogram of bins 15 % wide whose weights fade. One sample moves a quantile by at most its weight. Not thread-safe.</summary>
internal sealed class LengthHistogram
{
    private const double Ratio = 1.15;
    private const int Bins = 96; // 1.15^95 is above 500,000 tokens
    private const double Fade = 0.995;

    private readonly double[] _weights = new double[Bins];
    private double _sum;

    /// <summary>Begins as if <paramref name="weight"/> answers of length <paramref name="prior"/> had been seen.</summary>
    public LengthHistogram(double prior, double weight)
    {
        _weights[Bin(prior)] = weight;
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
            if (left <= 1e-9) return Math.Pow(Ratio, i);
        }

        return Math.Pow(Ratio, Bins - 1);
    }

    private static int Bin(double length) => Math.Clamp((int)Math.Ceiling((Math.Log(Math.Max(1, length)) / Math.Log(Ratio)) - 1e-9), 0, Bins - 1);
}
