namespace Serverless.Inference.Batching;

/// <summary>How fast passes are, smoothed: what a pass can take in is reckoned by it. Used by the engine's thread alone.</summary>
internal sealed class StepRates
{
    /// <summary>Fewest rows of a prompt that say how fast prompts are read.</summary>
    public const int SmallestChunk = 16;

    private const double Smoothing = 0.2;
    private const double MostDecoding = 0.1;

    /// <summary>Prompt tokens per second; 0 before the first.</summary>
    public double Prefill { get; private set; }

    /// <summary>Generated tokens per second of passes that only decode; 0 before the first.</summary>
    public double Decode { get; private set; }

    /// <summary>How long so many rows of decoding take of a pass.</summary>
    public TimeSpan DecodeTime(int rows) => Decode > 0 ? TimeSpan.FromSeconds(Math.Min(MostDecoding, rows / Decode)) : TimeSpan.Zero;

    /// <summary>How long a prompt takes; nothing while no rate is known.</summary>
    public TimeSpan PrefillTime(int tokens) => Prefill > 0 ? TimeSpan.FromSeconds(tokens / Prefill) : TimeSpan.Zero;

    /// <summary>A pass of so many rows took so long.</summary>
    public void Learn(int decoding, int reading, TimeSpan took)
    {
        if (took <= TimeSpan.Zero) return;
        if (reading >= SmallestChunk) Prefill = Smooth(Prefill, reading / Math.Max(1e-3, (took - DecodeTime(decoding)).TotalSeconds));
        else if (reading == 0 && decoding > 0) Decode = Smooth(Decode, decoding / took.TotalSeconds);
    }

    private static double Smooth(double old, double measured) => old <= 0 ? measured : old + (Smoothing * (measured - old));
}
