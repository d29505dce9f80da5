namespace Serverless.Inference.Kernels;

/// <summary>The definition of the products, a lane at a time: for machines without AVX2, and the reference of the tests.</summary>
internal sealed unsafe class PortableKernels : KernelSet
{
    private const int Lanes = PackedMatrix.GroupRows;

    public override string Name => "portable";

    public override void FourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y) => FourBit(w, blocks, x, 1, scales, sums, y);

    public override void FourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        for (var i = 0; i < Activations.Tile; i++) FourBit(w, blocks, x + i, Activations.Tile, scales + i, sums + i, y + (i * stride));
    }

    public override void EightBitOne(byte* w, int blocks, int* x, float* scales, float* y) => EightBit(w, blocks, x, 1, scales, y);

    public override void EightBitTile(byte* w, int blocks, int* x, float* scales, float* y, int stride)
    {
        for (var i = 0; i < Activations.Tile; i++) EightBit(w, blocks, x + i, Activations.Tile, scales + i, y + (i * stride));
    }

    public override void FloatOne(float* w, int columns, float* x, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        for (var column = 0; column < columns; column++, w += Lanes)
        {
            for (var lane = 0; lane < Lanes; lane++) y[lane] = MathF.FusedMultiplyAdd(w[lane], x[column], y[lane]);
        }
    }

    private static void FourBit(byte* w, int blocks, int* x, int step, float* scales, float* sums, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        for (var block = 0; block < blocks; block++, w += 320, x += 16 * step, scales += step, sums += step)
        {
            for (var lane = 0; lane < Lanes; lane++)
            {
                var sum = 0;
                for (var j = 0; j < 8; j++)
                {
                    var (even, odd) = (w[64 + (32 * j) + (2 * lane)], w[65 + (32 * j) + (2 * lane)]);
                    sum += ((even & 15) * Even(x[j * step])) + ((odd & 15) * Odd(x[j * step]));
                    sum += ((even >> 4) * Even(x[(j + 8) * step])) + ((odd >> 4) * Odd(x[(j + 8) * step]));
                }

                y[lane] = MathF.FusedMultiplyAdd(sum, (float)((Half*)w)[lane] * *scales, y[lane]);
                y[lane] = MathF.FusedMultiplyAdd((float)((Half*)w)[Lanes + lane], *sums, y[lane]);
            }
        }
    }

    private static void EightBit(byte* w, int blocks, int* x, int step, float* scales, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        for (var block = 0; block < blocks; block++, w += 544, x += 16 * step, scales += step)
        {
            for (var lane = 0; lane < Lanes; lane++)
            {
                var sum = 0;
                for (var j = 0; j < 16; j++)
                {
                    sum += ((sbyte)w[32 + (32 * j) + (2 * lane)] * Even(x[j * step])) + ((sbyte)w[33 + (32 * j) + (2 * lane)] * Odd(x[j * step]));
                }

                y[lane] = MathF.FusedMultiplyAdd(sum, (float)((Half*)w)[lane] * *scales, y[lane]);
            }
        }
    }

    private static short Even(int pair) => (short)pair;

    private static short Odd(int pair) => (short)(pair >> 16);
}
