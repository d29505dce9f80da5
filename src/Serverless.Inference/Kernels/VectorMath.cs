using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Serverless.Inference.Kernels;

/// <summary>The elementwise steps of a layer. Lengths are multiples of 8; sums are taken in eight lanes and joined at the end, always in the same order.</summary>
internal static unsafe class VectorMath
{
    /// <summary>output = x / rms(x) · weight.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Normalize(float* x, float* weight, float epsilon, float* output, int length)
    {
        var squares = Vector256<float>.Zero;
        for (var i = 0; i < length; i += 8)
        {
            var value = Vector256.Load(x + i);
            squares = Vector256.FusedMultiplyAdd(value, value, squares);
        }

        var scale = Vector256.Create(1 / MathF.Sqrt((Vector256.Sum(squares) / length) + epsilon));
        for (var i = 0; i < length; i += 8) (Vector256.Load(x + i) * scale * Vector256.Load(weight + i)).Store(output + i);
    }

    /// <summary>x += y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* x, float* y, int length)
    {
        for (var i = 0; i < length; i += 8) (Vector256.Load(x + i) + Vector256.Load(y + i)).Store(x + i);
    }

    /// <summary>output = silu(gate) · up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SwiGlu(float* gate, float* up, float* output, int length)
    {
        for (var i = 0; i < length; i += 8)
        {
            var value = Vector256.Load(gate + i);
            (value / (Vector256<float>.One + Vector256.Exp(-value)) * Vector256.Load(up + i)).Store(output + i);
        }
    }

    /// <summary>Turns neighbouring pairs of <paramref name="x"/> by the angles of its position.</summary>
    public static void Rotate(float* x, float* cosines, float* sines, int pairs)
    {
        for (var i = 0; i < pairs; i++)
        {
            var (even, odd) = (x[2 * i], x[(2 * i) + 1]);
            x[2 * i] = (even * cosines[i]) - (odd * sines[i]);
            x[(2 * i) + 1] = (even * sines[i]) + (odd * cosines[i]);
        }
    }
}
