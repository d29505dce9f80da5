using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>The weights of a norm; with a bias it is a LayerNorm.</summary>
internal sealed unsafe record Norm(NativeMemoryBlock Weight, NativeMemoryBlock? Bias, float Epsilon) : IDisposable
{
    /// <summary>output = the norm of x; the two may be one.</summary>
    public void Run(float* x, float* output, int length)
    {
        if (Bias is null) VectorMath.Normalize(x, Weight.Floats, Epsilon, output, length);
        else VectorMath.LayerNormalize(x, Weight.Floats, Bias.Floats, Epsilon, output, length);
    }

    public void Dispose()
    {
        Weight.Dispose();
        Bias?.Dispose();
    }
}
