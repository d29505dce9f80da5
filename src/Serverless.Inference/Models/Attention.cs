using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>
/// Attention of a block of queries, of neighbouring rows of one sequence and of heads that share keys and values, over the positions before each. A page is read once for all of
/// them. Keys are taken page by page and position by position in order, whatever else is in the block: a query's result depends on its sequence alone.
/// </summary>
internal sealed unsafe class Attention : IDisposable
{
    /// <summary>Most queries of a block, unless a single row has more heads that share.</summary>
    private const int MostQueries = 16;

    private const int Page = KeyValuePage.Tokens;

    private readonly NativeMemoryBlock _scores;
    private readonly NativeMemoryBlock _tiles;
    private readonly int _size;
    private readonly int _stride;
    private readonly int _queries;

    /// <param name="size">Length of a head, a multiple of 8.</param>
    /// <param name="shared">Heads that share keys and values.</param>
    /// <param name="threads">Threads that use it at once.</param>
    /// <param name="context">Longest sequence.</param>
    public Attention(int size, int shared, int threads, int context)
    {
        (_size, _stride, Rows) = (size, context + Page, Math.Max(1, MostQueries / shared));
        _queries = Math.Max(MostQueries, shared);
        _scores = new NativeMemoryBlock((long)threads * _queries * _stride * sizeof(float));
        _tiles = new NativeMemoryBlock((long)threads * size * Page * sizeof(float));
    }

    /// <summary>Most rows of a block.</summary>
    public int Rows { get; }

    /// <summary>output = softmax(q·K / √size)·V, for each query.</summary>
    public void Run(in AttentionBlock block, int thread)
    {
        if (block.Layout.Format == KeyValueFormat.F16) Run<HalfElements>(block, thread);
        else if (block.Layout.Format == KeyValueFormat.Q8) Run<ByteElements>(block, thread);
        else Run<FloatElements>(block, thread);
    }

    public void Dispose()
    {
        _scores.Dispose();
        _tiles.Dispose();
    }

    private void Run<T>(in AttentionBlock block, int thread)
        where T : struct, IKeyValueElements
    {
        var scores = _scores.Floats + ((long)thread * _queries * _stride);
        var tile = (byte*)(_tiles.Floats + ((long)thread * _size * Page));
        var (queries, isOne) = (block.Rows * block.Heads, block.Rows * block.Heads == 1);
        var (begin, end) = (block.Seen(0).From / Page * Page, block.Position + block.Rows);
        for (var first = begin; first < end; first += Page)
        {
            var keys = block.Pages[first / Page].Keys(block.Layer, block.Head);
            if (!isOne) Expand<T>(keys, (float*)tile, _size * Page);
            for (var query = 0; query < queries; query++)
            {
                if (!Sees(block, query, first)) continue;
                var to = scores + ((long)query * _stride) + first;
                if (isOne) Scores<T>(block.Query(query, _size), keys, _size, to);
                else Scores<FloatElements>(block.Query(query, _size), tile, _size, to);
                if (T.AreScaled) Scale(to, block.Layout.Scales(keys));
            }
        }

        for (var query = 0; query < queries; query++)
        {
            Weigh(block, scores + ((long)query * _stride), block.Seen(query));
            new Span<float>(block.Output(query, _size), _size).Clear();
        }

        for (var first = begin; first < end; first += Page)
        {
            var keys = block.Pages[first / Page].Keys(block.Layer, block.Head);
            var values = block.Layout.Values(keys);
            if (!isOne) Expand<T>(values, (float*)tile, _size * Page);
            for (var query = 0; query < queries; query++)
            {
                if (!Sees(block, query, first)) continue;
                var weights = scores + ((long)query * _stride) + first;
                var (from, to) = block.Seen(query);
                var (skipped, count) = (Math.Max(0, from - first), Math.Min(Page, to - first));
                if (T.AreScaled) Scale(weights, block.Layout.Scales(keys) + Page);
                if (isOne) Values<T>(weights, values, skipped, count, _size, block.Output(query, _size));
                else Values<FloatElements>(weights, tile, skipped, count, _size, block.Output(query, _size));
            }
        }
    }

    /// <summary>Scores become weights.</summary>
    private static void Weigh(in AttentionBlock block, float* scores, (int From, int To) seen)
    {
        var from = seen.From / Page * Page;
        if (block.Cap > 0) VectorMath.SoftCap(scores + from, block.Cap, (seen.To - from + 7) / 8 * 8);
        Softmax(scores, seen);
    }

    /// <summary>Whether any position of the page that begins there is seen.</summary>
    private static bool Sees(in AttentionBlock block, int query, int first)
    {
        var (from, to) = block.Seen(query);
        return first < to && first + Page > from;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Expand<T>(byte* from, float* to, int count)
        where T : struct, IKeyValueElements
    {
        for (var i = 0; i < count; i += 8, from += 8 * T.Bytes) T.Load(from).Store(to + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scores<T>(float* query, byte* keys, int size, float* scores)
        where T : struct, IKeyValueElements
    {
        var (a, b, c, d) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
        for (var i = 0; i < size; i++, keys += Page * T.Bytes)
        {
            var value = Vector256.Create(query[i]);
            a = Vector256.FusedMultiplyAdd(value, T.Load(keys), a);
            b = Vector256.FusedMultiplyAdd(value, T.Load(keys + (8 * T.Bytes)), b);
            c = Vector256.FusedMultiplyAdd(value, T.Load(keys + (16 * T.Bytes)), c);
            d = Vector256.FusedMultiplyAdd(value, T.Load(keys + (24 * T.Bytes)), d);
        }

        var factor = Vector256.Create(1 / MathF.Sqrt(size));
        (a * factor).Store(scores);
        (b * factor).Store(scores + 8);
        (c * factor).Store(scores + 16);
        (d * factor).Store(scores + 24);
    }

    private static void Scale(float* numbers, float* scales)
    {
        for (var i = 0; i < Page; i += 8) (Vector256.Load(numbers + i) * Vector256.Load(scales + i)).Store(numbers + i);
    }

    /// <summary>In lanes of eight from a whole page on: what is not seen counts as −∞, so that a sum's order depends on the places that are seen alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(float* scores, (int From, int To) seen)
    {
        var (begin, end) = (seen.From / Page * Page, (seen.To + 7) / 8 * 8);
        for (var i = begin; i < seen.From; i++) scores[i] = float.NegativeInfinity;
        for (var i = seen.To; i < end; i++) scores[i] = float.NegativeInfinity;

        var largest = Vector256.Create(float.NegativeInfinity);
        for (var i = begin; i < end; i += 8) largest = Vector256.Max(largest, Vector256.Load(scores + i));
        var top = largest[0];
        for (var i = 1; i < 8; i++) top = MathF.Max(top, largest[i]);

        var sum = Vector256<float>.Zero;
        var shift = Vector256.Create(top);
        for (var i = begin; i < end; i += 8)
        {
            var value = Vector256.Exp(Vector256.Load(scores + i) - shift);
            value.Store(scores + i);
            sum += value;
        }

        var inverse = Vector256.Create(1 / Vector256.Sum(sum));
        for (var i = begin; i < end; i += 8) (Vector256.Load(scores + i) * inverse).Store(scores + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Values<T>(float* weights, byte* values, int from, int to, int size, float* output)
        where T : struct, IKeyValueElements
    {
        for (var part = 0; part < size; part += 8)
        {
            var sum = Vector256.Load(output + part);
            var value = values + (((from * size) + part) * T.Bytes);
            for (var i = from; i < to; i++, value += size * T.Bytes) sum = Vector256.FusedMultiplyAdd(Vector256.Create(weights[i]), T.Load(value), sum);
            sum.Store(output + part);
        }
    }
}
