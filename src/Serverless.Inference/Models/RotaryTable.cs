using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>Cosines and sines of every position's rotary angles, as floats rounded from doubles: the same bits on every machine.</summary>
internal sealed unsafe class RotaryTable : IDisposable
{
    private readonly NativeMemoryBlock _angles;

    /// <param name="config">The angles.</param>
    /// <param name="context">Positions.</param>
    public RotaryTable(RotaryConfig config, int context)
    {
        var frequencies = config.Frequencies();
        Pairs = frequencies.Length;
        _angles = new NativeMemoryBlock((long)context * Pairs * 2 * sizeof(float));
        for (var position = 0; position < context; position++)
        {
            var cosines = Cosines(position);
            var sines = Sines(position);
            for (var i = 0; i < Pairs; i++)
            {
                var (sine, cosine) = PortableMath.SineCosine(position * frequencies[i]);
                (cosines[i], sines[i]) = ((float)(cosine * config.Magnitude), (float)(sine * config.Magnitude));
            }
        }
    }

    /// <summary>Pairs of a head that turn.</summary>
    public int Pairs { get; }

    public float* Cosines(int position) => _angles.Floats + ((long)position * Pairs * 2);

    public float* Sines(int position) => Cosines(position) + Pairs;

    public void Dispose() => _angles.Dispose();
}
