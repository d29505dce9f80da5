using CsCheck;
using Serverless.Inference.Models;
using Shouldly;

namespace Serverless.Tests.Inference.Models;

public sealed unsafe class AttentionTests
{
    /// <summary>Any part of a sequence, with and without a window, against sums in doubles over what the pages hold; and each query in a block as alone, bit by bit.</summary>
    [Fact]
    public void A_query_gives_what_the_formula_says_and_alone_the_same_bits_as_in_a_block() =>
        Gen.Select(Gen.Int[0, 90], Gen.Int[1, 4], Gen.Int[1, 4], Gen.Int[0, 70], Gen.Int[0, 2], Gen.Int[0, 1 << 20]).Sample(
            (position, rows, heads, window, format, seed) => Check(position, rows, heads, window, (KeyValueFormat)format, new Random(seed)),
            iter: 60);

    private static void Check(int position, int rows, int heads, int window, KeyValueFormat format, Random random)
    {
        var config = SharedModel.Model.Config;
        var size = config.HeadSize;
        using var pool = new KeyValuePool(config, 4 * KeyValuePage.Tokens, format);
        using var attention = new Attention(size, heads, 1, 128);
        List<KeyValuePage> pages = [];
        pool.TryGrow(pages, position + rows);
        var keys = Numbers(random, (position + rows) * size);
        var values = Numbers(random, (position + rows) * size);
        var queries = Numbers(random, rows * heads * size);
        var (together, alone) = (new float[rows * heads * size], new float[rows * heads * size]);
        fixed (float* key = keys, value = values, query = queries, one = together, two = alone)
        {
            for (var i = 0; i < position + rows; i++) pages[0].Layout.Store(pages[i / KeyValuePage.Tokens].Keys(1, 2), i % KeyValuePage.Tokens, key + (i * size), value + (i * size));
            attention.Run(Block(pages, position, rows, heads, window, query, one, heads * size), 0);
            for (var n = 0; n < rows * heads; n++) attention.Run(Block(pages, position + (n / heads), 1, 1, window, query + (n * size), two + (n * size), size), 0);
        }

        alone.ShouldBe(together);
        for (var n = 0; n < rows * heads; n++)
        {
            var expected = Expected(queries.AsSpan(n * size, size), keys, values, position + (n / heads), window, size);
            for (var i = 0; i < size; i++) ((double)together[(n * size) + i]).ShouldBe(expected[i], format == KeyValueFormat.Q8 ? 3e-2 : 2e-3);
        }
    }

    private static AttentionBlock Block(List<KeyValuePage> pages, int position, int rows, int heads, int window, float* queries, float* outputs, int stride) => new()
    {
        Pages = pages,
        Layout = pages[0].Layout,
        Layer = 1,
        Head = 2,
        Position = position,
        Rows = rows,
        Heads = heads,
        Window = window,
        Queries = queries,
        QueryStride = stride,
        Outputs = outputs,
        OutputStride = stride,
    };

    private static double[] Expected(ReadOnlySpan<float> query, float[] keys, float[] values, int position, int window, int size)
    {
        var weights = new double[position + 1];
        for (var i = window > 0 ? Math.Max(0, position + 1 - window) : 0; i <= position; i++)
        {
            var score = 0.0;
            for (var k = 0; k < size; k++) score += (double)query[k] * keys[(i * size) + k];
            weights[i] = Math.Exp(score / Math.Sqrt(size));
        }

        var total = weights.Sum();
        return [.. Enumerable.Range(0, size).Select(k => weights.Select((weight, i) => weight / total * values[(i * size) + k]).Sum())];
    }

    private static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() * 2) - 1))];
}
