namespace Serverless.Inference.Models;

/// <summary>The rotary angles of a model's heads. Immutable.</summary>
public sealed record RotaryConfig
{
    /// <summary>Base of the angles.</summary>
    public required float Base { get; init; }

    /// <summary>Numbers of a head that are rotated, from the first.</summary>
    public required int Dimensions { get; init; }

    /// <summary>How long contexts are reached.</summary>
    public RotaryScaling Scaling { get; init; }

    /// <summary>How many times longer than the trained context.</summary>
    public float Factor { get; init; } = 1;

    /// <summary>The trained context.</summary>
    public int TrainedContext { get; init; }

    /// <summary>Turns within the trained context at which the ramp ends: frequencies that turn less are divided (Llama 3: <c>low_freq_factor</c>; Yarn: β slow).</summary>
    public float SlowTurns { get; init; } = 1;

    /// <summary>Turns at which the ramp begins: frequencies that turn more are left (Llama 3: <c>high_freq_factor</c>; Yarn: β fast).</summary>
    public float FastTurns { get; init; } = 32;

    /// <summary>What sines and cosines are multiplied by.</summary>
    public float Magnitude { get; init; } = 1;

    /// <summary>What each frequency is divided by (<c>rope_freqs.weight</c>); empty for 1.</summary>
    public IReadOnlyList<float> Factors { get; init; } = [];

    /// <summary>Yarn's sharpening of attention for a factor.</summary>
    internal static float YarnMagnitude(float factor) => factor <= 1 ? 1 : (float)((0.1 * PortableMath.Log(factor)) + 1);

    /// <summary>The frequency of each pair.</summary>
    internal double[] Frequencies()
    {
        var frequencies = new double[Dimensions / 2];
        var (low, high) = Scaling == RotaryScaling.Yarn ? (Math.Max(0, Math.Floor(PairOf(FastTurns))), Math.Min(Dimensions - 1, Math.Ceiling(PairOf(SlowTurns)))) : (0, 0);
        if (low == high) high += 0.001;
        for (var i = 0; i < frequencies.Length; i++)
        {
            var whole = PortableMath.Power(Base, -2.0 * i / Dimensions);
            if (Factors.Count > 0) whole /= Factors[i];
            frequencies[i] = Scaling switch
            {
                RotaryScaling.Linear => whole / Factor,
                RotaryScaling.Llama3 => Mixed(whole, Math.Clamp(((TrainedContext * whole / (2 * Math.PI)) - SlowTurns) / (FastTurns - SlowTurns), 0, 1)),
                RotaryScaling.Yarn => Mixed(whole, 1 - Math.Clamp((i - low) / (high - low), 0, 1)),
                _ => whole,
            };
        }

        return frequencies;
    }

    private double Mixed(double whole, double share) => (share * whole) + ((1 - share) * whole / Factor);

    /// <summary>The pair, as a fraction, that makes so many turns within the trained context.</summary>
    private double PairOf(double turns) => Dimensions * PortableMath.Log(TrainedContext / (turns * 2 * Math.PI)) / (2 * PortableMath.Log(Base));
}
