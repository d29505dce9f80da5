namespace Serverless.Inference.Sampling;

/// <summary>Random numbers by place rather than by order: a continued request draws what it would have drawn. SplitMix64's finalizer (Steele et al., OOPSLA 2014).</summary>
internal static class CounterRandom
{
    /// <summary>A number in [0, 1) for a place in a stream.</summary>
    public static double Uniform(ulong seed, int position)
    {
        var mixed = Mix(Mix(seed) + ((ulong)position * 0x9E3779B97F4A7C15));
        return (mixed >> 11) * (1.0 / (1UL << 53));
    }

    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
