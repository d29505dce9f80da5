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

    /// <summary>output = gelu(gate) · up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GeGlu(float* gate, float* up, float* output, int length)
    {
        for (var i = 0; i < length; i += 8) (Gelu(Vector256.Load(gate + i)) * Vector256.Load(up + i)).Store(output + i);
    }

    /// <summary>output = gelu(x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gelu(float* x, float* output, int length)
    {
        for (var i = 0; i < length; i += 8) Gelu(Vector256.Load(x + i)).Store(output + i);
    }

    /// <summary>output = (x − mean) / deviation · weight + bias.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LayerNormalize(float* x, float* weight, float* bias, float epsilon, float* output, int length)
    {
        var sum = Vector256<float>.Zero;
        for (var i = 0; i < length; i += 8) sum += Vector256.Load(x + i);
        var mean = Vector256.Create(Vector256.Sum(sum) / length);
        var squares = Vector256<float>.Zero;
        for (var i = 0; i < length; i += 8)
        {
            var value = Vector256.Load(x + i) - mean;
            squares = Vector256.FusedMultiplyAdd(value, value, squares);
        }

        var scale = Vector256.Create(1 / MathF.Sqrt((Vector256.Sum(squares) / length) + epsilon));
        for (var i = 0; i < length; i += 8) Vector256.FusedMultiplyAdd((Vector256.Load(x + i) - mean) * scale, Vector256.Load(weight + i), Vector256.Load(bias + i)).Store(output + i);
    }

    /// <summary>x *= factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale(float* x, float factor, int length)
    {
        var factors = Vector256.Create(factor);
        for (var i = 0; i < length; i += 8) (Vector256.Load(x + i) * factors).Store(x + i);
    }

    /// <summary>x += factor · y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddScaled(float* x, float* y, float factor, int length)
    {
        var factors = Vector256.Create(factor);
        for (var i = 0; i < length; i += 8) Vector256.FusedMultiplyAdd(Vector256.Load(y + i), factors, Vector256.Load(x + i)).Store(x + i);
    }

    /// <summary>x = cap · tanh(x / cap).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SoftCap(float* x, float cap, int length)
    {
        var caps = Vector256.Create(cap);
        for (var i = 0; i < length; i += 8) (caps * Tanh(Vector256.Load(x + i) / caps)).Store(x + i);
    }

    /// <summary>Turns neighbouring pairs of <paramref name="x"/> by the angles of its position.</summary>
    public static void RotateNeighbours(float* x, float* cosines, float* sines, int pairs)
    {
        for (var i = 0; i < pairs; i++) (x[2 * i], x[(2 * i) + 1]) = Turned(x[2 * i], x[(2 * i) + 1], cosines[i], sines[i]);
    }

    /// <summary>Turns each number of the first half of <paramref name="x"/> with the one of the second by the angles of its position.</summary>
    public static void RotateHalves(float* x, float* cosines, float* sines, int pairs)
    {
        for (var i = 0; i < pairs; i++) (x[i], x[i + pairs]) = Turned(x[i], x[i + pairs], cosines[i], sines[i]);
    }

    private static (float First, float Second) Turned(float first, float second, float cosine, float sine) => ((first * cosine) - (second * sine), (first * sine) + (second * cosine));

    /// <summary>By its series near zero, where the formula of exponentials loses its digits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Tanh(Vector256<float> x)
    {
        var square = x * x;
        var series = Vector256.Create(-1382f / 155925);
        foreach (var factor in (ReadOnlySpan<float>)[62f / 2835, -17f / 315, 2f / 15, -1f / 3, 1]) series = Vector256.FusedMultiplyAdd(series, square, Vector256.Create(factor));
        var whole = Vector256<float>.One - (Vector256.Create(2f) / (Vector256.Exp(x + x) + Vector256<float>.One));
        return Vector256.ConditionalSelect(Vector256.LessThan(square, Vector256.Create(0.09f)), x * series, whole);
    }

    /// <summary>½x·(1 + tanh(√(2/π)·(x + 0.044715x³))), which is x·σ(2√(2/π)·(…)).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Gelu(Vector256<float> x)
    {
        var inner = x * Vector256.FusedMultiplyAdd(x * x, Vector256.Create(0.044715f), Vector256<float>.One) * -1.5957691216057308f;
        return x / (Vector256<float>.One + Vector256.Exp(inner));
    }
}
