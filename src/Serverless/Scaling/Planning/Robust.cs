namespace Serverless.Scaling.Planning;

/// <summary>Estimates that one bad sample cannot move far.</summary>
internal static class Robust
{
    /// <summary>Share of the way, in logarithms, that one sample moves an estimate.</summary>
    public const double Step = 0.25;

    /// <summary>A sample counts as at most this many times larger or smaller than the estimate: so one moves it by at most 2^0.25, 19 %, and twenty get it anywhere within a factor of thirty.</summary>
    public const double Clip = 2;

    /// <summary>The estimate after a sample; samples that are not finite and positive are ignored.</summary>
    public static double Move(double estimate, double sample) =>
        !Usable(sample) ? estimate : estimate * Math.Pow(Math.Clamp(sample / estimate, 1 / Clip, Clip), Step);

    /// <summary>Whether a measured figure means anything.</summary>
    public static bool Usable(double sample) => double.IsFinite(sample) && sample is > 1e-9 and < 1e12;
}
