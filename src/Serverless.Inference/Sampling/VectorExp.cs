using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Serverless.Inference.Sampling;

/// <summary>
/// Exponentials of a whole row of logits, eight at a time, out of +, −, × and rounding alone: the same bits on every machine. No multiplication is joined with an addition,
/// so that a machine without fused ones rounds alike.
/// </summary>
internal static class VectorExp
{
    /// <summary>The weight of the most probable token; that of another is rounded to a whole number, so that sums are exact in any order.</summary>
    public const int One = 1 << 30;

    /// <summary>Weights that are summed together.</summary>
    public const int Block = 1024;

    private const int Lanes = 8;

    /// <summary>The largest of a row; NaN where any is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Max(ReadOnlySpan<float> row)
    {
        ref var start = ref MemoryMarshal.GetReference(row);
        var largest = Vector256.Create(float.NegativeInfinity);
        var i = 0;
        for (; i + Lanes <= row.Length; i += Lanes) largest = Vector256.Max(largest, Vector256.LoadUnsafe(ref start, (nuint)i));
        var max = largest[0];
        for (var lane = 1; lane < Lanes; lane++) max = MathF.Max(max, largest[lane]);
        for (; i < row.Length; i++) max = MathF.Max(max, row[i]);
        return max;
    }

    /// <summary>Where a value stands first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int IndexOf(ReadOnlySpan<float> row, float value)
    {
        ref var start = ref MemoryMarshal.GetReference(row);
        var sought = Vector256.Create(value);
        var i = 0;
        for (; i + Lanes <= row.Length; i += Lanes)
        {
            var found = Vector256.Equals(Vector256.LoadUnsafe(ref start, (nuint)i), sought).ExtractMostSignificantBits();
            if (found != 0) return i + BitOperations.TrailingZeroCount(found);
        }

        while (row[i] != value) i++;
        return i;
    }

    /// <summary>ln Σ e^row, of a row whose largest is <paramref name="max"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double LogSum(ReadOnlySpan<float> row, float max)
    {
        ref var start = ref MemoryMarshal.GetReference(row);
        var (low, high, shift, i) = (Vector256<double>.Zero, Vector256<double>.Zero, Vector256.Create(max), 0);
        for (; i + Lanes <= row.Length; i += Lanes)
        {
            var (lower, upper) = Vector256.Widen(Exp(Vector256.LoadUnsafe(ref start, (nuint)i) - shift));
            low += lower;
            high += upper;
        }

        if (i < row.Length)
        {
            var (lower, upper) = Vector256.Widen(Exp(Last(row[i..]) - shift));
            low += lower;
            high += upper;
        }

        var sum = low + high;
        return max + Models.PortableMath.Log(sum[0] + sum[1] + (sum[2] + sum[3]));
    }

    /// <summary>Makes weights, out of <see cref="One"/>, of logits, those below <paramref name="least"/> as 0; returns their sum.</summary>
    /// <param name="row">Logits.</param>
    /// <param name="weights">As long.</param>
    /// <param name="max">The largest of them.</param>
    /// <param name="inverse">1 / temperature.</param>
    /// <param name="least">At least 1.</param>
    /// <param name="blocks">The sum of each <see cref="Block"/> of weights.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static long Weigh(ReadOnlySpan<float> row, Span<int> weights, float max, float inverse, int least, Span<long> blocks)
    {
        ref var from = ref MemoryMarshal.GetReference(row);
        ref var to = ref MemoryMarshal.GetReference(weights);
        var (shift, factor, floor) = (Vector256.Create(max), Vector256.Create(inverse), Vector256.Create(least));
        var total = 0L;
        for (var block = 0; block * Block < row.Length; block++)
        {
            var (i, end, sum) = (block * Block, Math.Min(row.Length, (block + 1) * Block), Vector256<long>.Zero);
            for (; i + Lanes <= end; i += Lanes)
            {
                var weight = Weights((Vector256.LoadUnsafe(ref from, (nuint)i) - shift) * factor, floor);
                weight.StoreUnsafe(ref to, (nuint)i);
                var (lower, upper) = Vector256.Widen(weight);
                sum += lower + upper;
            }

            blocks[block] = Vector256.Sum(sum);
            if (i < end)
            {
                var last = Weights((Last(row[i..]) - shift) * factor, floor);
                for (var lane = 0; i + lane < end; lane++) blocks[block] += weights[i + lane] = last[lane];
            }

            total += blocks[block];
        }

        return total;
    }

    /// <summary>e^x for x ≤ 0, to some 10⁻⁷ of it; below e^−87 it is that.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x)
    {
        x = Vector256.Max(x, Vector256.Create(-87f));
        var power = Vector256.Round(x * 1.44269504f);
        var rest = x - (power * 0.693359375f) - (power * -2.12194440e-4f);

        // The series to the seventh power: |rest| is at most 0.35.
        var sum = (rest * (1 / 5040f)) + Vector256.Create(1 / 720f);
        sum = (sum * rest) + Vector256.Create(1 / 120f);
        sum = (sum * rest) + Vector256.Create(1 / 24f);
        sum = (sum * rest) + Vector256.Create(1 / 6f);
        sum = (sum * rest) + Vector256.Create(0.5f);
        sum = (sum * rest) + Vector256<float>.One;
        sum = (sum * rest) + Vector256<float>.One;
        return sum * ((Vector256.ConvertToInt32(power) + Vector256.Create(127)) << 23).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Weights(Vector256<float> exponents, Vector256<int> least)
    {
        var weights = Vector256.ConvertToInt32(Vector256.Round(Exp(exponents) * (float)One));
        return weights & Vector256.GreaterThanOrEqual(weights, least);
    }

    /// <summary>Less than eight; what is not there is −∞.</summary>
    private static Vector256<float> Last(ReadOnlySpan<float> rest)
    {
        Span<float> last = stackalloc float[Lanes];
        last.Fill(float.NegativeInfinity);
        rest.CopyTo(last);
        return Vector256.Create<float>(last);
    }
}
