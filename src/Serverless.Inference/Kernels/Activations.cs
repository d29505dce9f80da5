using System.Runtime.Intrinsics;

namespace Serverless.Inference.Kernels;

/// <summary>
/// Input vectors of a matrix product: as floats, and quantized to 16 bits with a scale per block of 32. Fifteen bits of a block's largest value make the product of an
/// activation with a 4- or 8-bit weight an exact integer, and leave an error some two hundred times below that of 8-bit activations.
/// </summary>
/// <remarks>
/// Vectors come in tiles of four while there are four, then one by one: inside a tile column pairs are interleaved, so that a kernel walks one pointer.
/// <code>pairs: tile t at 4·t·columns, [block][step 0..15][vector 0..3]; single n at n·columns, [block][step]</code>
/// </remarks>
internal sealed unsafe class Activations : IDisposable
{
    /// <summary>Vectors of a tile.</summary>
    public const int Tile = 4;

    private const int Block = PackedMatrix.BlockColumns;
    private const float Levels = 32767;

    private readonly NativeMemoryBlock _floats;
    private readonly NativeMemoryBlock _pairs;
    private readonly NativeMemoryBlock _scales;
    private readonly NativeMemoryBlock _sums;

    /// <param name="columns">Length of a vector, a multiple of 32.</param>
    /// <param name="capacity">Most vectors.</param>
    public Activations(int columns, int capacity)
    {
        Columns = columns;
        _floats = new NativeMemoryBlock((long)columns * capacity * sizeof(float));
        _pairs = new NativeMemoryBlock((long)columns * capacity * sizeof(short));
        _scales = new NativeMemoryBlock((long)columns / Block * capacity * sizeof(float));
        _sums = new NativeMemoryBlock((long)columns / Block * capacity * sizeof(float));
    }

    public int Columns { get; }

    private int Blocks => Columns / Block;

    /// <summary>The floats of vector <paramref name="index"/>: write them, then <see cref="Quantize"/>.</summary>
    public float* Vector(int index) => _floats.Floats + ((long)index * Columns);

    /// <summary>Pairs, scales and scaled sums of the tile or single that begins with vector <paramref name="first"/>.</summary>
    public void At(int first, out int* pairs, out float* scales, out float* sums)
    {
        pairs = (int*)(_pairs.Bytes + ((long)first * Columns * sizeof(short)));
        scales = _scales.Floats + ((long)first * Blocks);
        sums = _sums.Floats + ((long)first * Blocks);
    }

    /// <summary>Quantizes vector <paramref name="index"/> of <paramref name="count"/>, counted from vector <paramref name="start"/>: a product is of all of these.</summary>
    public void Quantize(int index, int count, int start = 0)
    {
        var tiled = index < count / Tile * Tile;
        var stride = tiled ? Tile : 1;
        var lane = tiled ? index % Tile : 0;
        At(start + index - lane, out var pairs, out var scales, out var sums);
        pairs += lane;
        scales += lane;
        sums += lane;

        var x = Vector(start + index);
        for (var block = 0; block < Blocks; block++, x += Block, pairs += 16 * stride, scales += stride, sums += stride)
        {
            var largest = Largest(x);
            var scale = largest / Levels;
            var inverse = largest > 0 ? Levels / largest : 0;
            *scales = scale;
            *sums = scale * Round(x, inverse, pairs, stride);
        }
    }

    public void Dispose()
    {
        _floats.Dispose();
        _pairs.Dispose();
        _scales.Dispose();
        _sums.Dispose();
    }

    private static float Largest(float* x)
    {
        var largest = Vector256.Max(
            Vector256.Max(Vector256.Abs(Vector256.Load(x)), Vector256.Abs(Vector256.Load(x + 8))),
            Vector256.Max(Vector256.Abs(Vector256.Load(x + 16)), Vector256.Abs(Vector256.Load(x + 24))));
        var half = Vector128.Max(largest.GetLower(), largest.GetUpper());
        return MathF.Max(MathF.Max(half[0], half[1]), MathF.Max(half[2], half[3]));
    }

    /// <summary>Rounds a block to integers, stores them in pairs, and returns their sum.</summary>
    private static int Round(float* x, float inverse, int* pairs, int stride)
    {
        var sum = Vector256<int>.Zero;
        var factor = Vector256.Create(inverse);
        for (var i = 0; i < Block; i += 8, x += 8)
        {
            var rounded = Vector256.ConvertToInt32(Vector256.Round(Vector256.Load(x) * factor));
            sum += rounded;

            // Two neighbours in one 32-bit lane: the even one below, the odd one above.
            var even = rounded.AsInt64() & Vector256.Create(0xFFFFL);
            var odd = Vector256.ShiftLeft(Vector256.ShiftRightLogical(rounded.AsInt64(), 32), 16);
            var joined = (even | odd).AsInt32();
            for (var pair = 0; pair < 4; pair++, pairs += stride) *pairs = joined[2 * pair];
        }

        return Vector256.Sum(sum);
    }
}
