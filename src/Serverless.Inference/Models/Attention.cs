using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>
/// Attention of one query over the positions before it, a head at a time. Keys are taken page by page and position by position in order, whatever else is in the batch:
/// a query's result depends on its sequence alone.
/// </summary>
internal static unsafe class Attention
{
    private const int Page = KeyValuePage.Tokens;

    /// <summary>output = softmax(q·K / √size)·V.</summary>
    /// <param name="query">The rotated query.</param>
    /// <param name="pages">Pages of the sequence.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="from">The first position to attend to.</param>
    /// <param name="positions">The position behind the last.</param>
    /// <param name="size">Length of a head, a multiple of 8.</param>
    /// <param name="cap">Bound c of the scores, c·tanh(x/c); 0: none.</param>
    /// <param name="scores">Room for the positions, rounded up to pages.</param>
    /// <param name="output">As long as a head.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(float* query, List<KeyValuePage> pages, int layer, int head, int from, int positions, int size, float cap, float* scores, float* output)
    {
        var scale = 1 / MathF.Sqrt(size);
        var begin = from / Page * Page;
        for (var first = begin; first < positions; first += Page) Scores(query, pages[first / Page].Keys(layer, head), size, scale, scores + first);

        if (cap > 0) VectorMath.SoftCap(scores + begin, cap, (positions - begin + 7) / 8 * 8);
        for (var i = begin; i < from; i++) scores[i] = float.NegativeInfinity;
        Softmax(scores + begin, positions - begin);
        new Span<float>(output, size).Clear();
        for (var first = begin; first < positions; first += Page)
        {
            var skipped = Math.Max(0, from - first);
            Values(scores + first + skipped, pages[first / Page].Values(layer, head) + (skipped * size), Math.Min(Page, positions - first) - skipped, size, output);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scores(float* query, float* keys, int size, float scale, float* scores)
    {
        var (a, b, c, d) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var i = 0; i < size; i++, keys += Page)
        {
            var value = Vector256.Create(query[i]);
            a = Vector256.FusedMultiplyAdd(value, Vector256.Load(keys), a);
            b = Vector256.FusedMultiplyAdd(value, Vector256.Load(keys + 8), b);
            c = Vector256.FusedMultiplyAdd(value, Vector256.Load(keys + 16), c);
            d = Vector256.FusedMultiplyAdd(value, Vector256.Load(keys + 24), d);
        }

        var factor = Vector256.Create(scale);
        (a * factor).Store(scores);
        (b * factor).Store(scores + 8);
        (c * factor).Store(scores + 16);
        (d * factor).Store(scores + 24);
    }

    /// <summary>In lanes of eight up to a whole page: what lies past the last position counts as −∞, so that a sum's order depends on the number of positions alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(float* scores, int positions)
    {
        var end = (positions + 7) / 8 * 8;
        for (var i = positions; i < end; i++) scores[i] = float.NegativeInfinity;

        var largest = Vector256.Create(float.NegativeInfinity);
        for (var i = 0; i < end; i += 8) largest = Vector256.Max(largest, Vector256.Load(scores + i));
        var top = largest[0];
        for (var i = 1; i < 8; i++) top = MathF.Max(top, largest[i]);

        var sum = Vector256<float>.Zero;
        var shift = Vector256.Create(top);
        for (var i = 0; i < end; i += 8)
        {
            var value = Vector256.Exp(Vector256.Load(scores + i) - shift);
            value.Store(scores + i);
            sum += value;
        }

        var inverse = Vector256.Create(1 / Vector256.Sum(sum));
        for (var i = 0; i < end; i += 8) (Vector256.Load(scores + i) * inverse).Store(scores + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Values(float* weights, float* values, int positions, int size, float* output)
    {
        for (var part = 0; part < size; part += 8)
        {
            var sum = Vector256.Load(output + part);
            var value = values + part;
            for (var i = 0; i < positions; i++, value += size) sum = Vector256.FusedMultiplyAdd(Vector256.Create(weights[i]), Vector256.Load(value), sum);
            sum.Store(output + part);
        }
    }
}
