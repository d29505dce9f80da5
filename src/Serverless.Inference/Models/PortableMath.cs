namespace Serverless.Inference.Models;

/// <summary>
/// Functions out of nothing but +, −, ×, ÷ and rounding, which IEEE 754 defines to the last bit: a machine's own mathematical library may answer otherwise by its
/// version and by its processor. Accurate to about 10⁻¹³ up to angles of 10⁶, and far beyond a float's bits up to 10⁸.
/// </summary>
internal static class PortableMath
{
    private const double Ln2High = 6.93147180369123816490e-01;
    private const double Ln2Low = 1.90821492927058770002e-10;
    private const double HalfPiHigh = 1.57079632673412561417e+00;
    private const double HalfPiMiddle = 6.07710050630396597660e-11;
    private const double HalfPiLow = 2.02226624879595063154e-21;

    // Of the series to the 21st and 20th power, the highest first: 1/(n·(n + 1)) and 1/(n·(n − 1)) for n = 20, 18, … 2.
    private static readonly double[] SineFactors = [.. Enumerable.Range(0, 10).Select(i => 1.0 / ((20 - (2 * i)) * (21 - (2 * i))))];
    private static readonly double[] CosineFactors = [.. Enumerable.Range(0, 10).Select(i => 1.0 / ((20 - (2 * i)) * (19 - (2 * i))))];

    /// <summary>base^exponent, for a positive base.</summary>
    public static double Power(double value, double exponent) => Exp(exponent * Log(value));

    /// <summary>The natural logarithm of a positive, normal number.</summary>
    public static double Log(double value)
    {
        var bits = BitConverter.DoubleToInt64Bits(value);
        var exponent = (int)((bits >> 52) & 0x7FF) - 1023;
        var mantissa = BitConverter.Int64BitsToDouble((bits & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
        if (mantissa > 1.4142135623730951) (mantissa, exponent) = (mantissa / 2, exponent + 1);

        // ln m = 2·artanh((m − 1)/(m + 1)), whose argument is at most 0.172.
        var z = (mantissa - 1) / (mantissa + 1);
        var square = z * z;
        var sum = 0.0;
        for (var term = 25; term >= 1; term -= 2) sum = (sum * square) + (1.0 / term);
        return (exponent * Ln2High) + ((2 * z * sum) + (exponent * Ln2Low));
    }

    /// <summary>e^x for |x| ≤ 700.</summary>
    public static double Exp(double value)
    {
        var power = Math.Round(value / (Ln2High + Ln2Low));
        var rest = value - (power * Ln2High) - (power * Ln2Low);
        var sum = 1.0;
        for (var term = 16; term >= 1; term--) sum = 1 + (sum * rest / term);
        return sum * BitConverter.Int64BitsToDouble(((long)power + 1023) << 52);
    }

    /// <summary>Sine and cosine of an angle of at most 10⁸.</summary>
    public static (double Sine, double Cosine) SineCosine(double angle)
    {
        var quarters = Math.Round(angle / HalfPiHigh);
        var rest = angle - (quarters * HalfPiHigh) - (quarters * HalfPiMiddle) - (quarters * HalfPiLow);
        var square = rest * rest;
        var (sine, cosine) = (1.0, 1.0);
        for (var i = 0; i < SineFactors.Length; i++)
        {
            sine = 1 - (sine * square * SineFactors[i]);
            cosine = 1 - (cosine * square * CosineFactors[i]);
        }

        sine *= rest;
        return ((long)quarters & 3) switch
        {
            0 => (sine, cosine),
            1 => (cosine, -sine),
            2 => (-sine, -cosine),
            _ => (-cosine, sine),
        };
    }
}
