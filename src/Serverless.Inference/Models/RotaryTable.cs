using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>Cosines and sines of every position's rotary angles, as floats rounded from doubles: the same bits on every machine.</summary>
internal sealed unsafe class RotaryTable : IDisposable
{
    private readonly NativeMemoryBlock _angles;
    private readonly int _pairs;

    /// <param name="config">The model's sizes.</param>
    /// <param name="context">Positions.</param>
    public RotaryTable(ModelConfig config, int context)
    {
        _pairs = config.HeadSize / 2;
        _angles = new NativeMemoryBlock((long)context * _pairs * 2 * sizeof(float));
        var frequencies = new double[_pairs];
        for (var i = 0; i < _pairs; i++)
        {
            frequencies[i] = PortableMath.Power(config.RopeBase, -2.0 * i / config.HeadSize);
            if (config.RopeFactors.Count > 0) frequencies[i] /= config.RopeFactors[i];
        }

        for (var position = 0; position < context; position++)
        {
            var cosines = Cosines(position);
            var sines = Sines(position);
            for (var i = 0; i < _pairs; i++)
            {
                var (sine, cosine) = PortableMath.SineCosine(position * frequencies[i]);
                (cosines[i], sines[i]) = ((float)cosine, (float)sine);
            }
        }
    }

    public float* Cosines(int position) => _angles.Floats + ((long)position * _pairs * 2);

    public float* Sines(int position) => Cosines(position) + _pairs;

    public void Dispose() => _angles.Dispose();
}
