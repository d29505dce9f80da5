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

    public override void HalfOne(ushort* w, int columns, float* x, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        for (var column = 0; column < columns; column++, w += Lanes)
        {
            for (var lane = 0; lane < Lanes; lane++) y[lane] = MathF.FusedMultiplyAdd((float)((Half*)w)[lane], x[column], y[lane]);
        }
    }

    public override void UpperHalfOne(ushort* w, int columns, float* x, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        for (var column = 0; column < columns; column++, w += Lanes)
        {
            for (var lane = 0; lane < Lanes; lane++) y[lane] = MathF.FusedMultiplyAdd(BitConverter.UInt32BitsToSingle((uint)w[lane] << 16), x[column], y[lane]);
        }
    }

    public override void ScaledFourBitOne(byte* w, int blocks, int* x, float* scales, float* sums, float* y) => ScaledFourBit(w, blocks, x, 1, scales, sums, y);

    public override void ScaledFourBitTile(byte* w, int blocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        for (var i = 0; i < Activations.Tile; i++) ScaledFourBit(w, blocks, x + i, Activations.Tile, scales + i, sums + i, y + (i * stride));
    }

    public override void ScaledEightBitOne(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y) => ScaledEightBit(w, (blocks, headerBlocks), x, 1, scales, sums, y);

    public override void ScaledEightBitTile(byte* w, int blocks, int headerBlocks, int* x, float* scales, float* sums, float* y, int stride)
    {
        for (var i = 0; i < Activations.Tile; i++) ScaledEightBit(w, (blocks, headerBlocks), x + i, Activations.Tile, scales + i, sums + i, y + (i * stride));
    }

    private static void ScaledFourBit(byte* w, int blocks, int* x, int step, float* scales, float* sums, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        var header = (Half*)w;
        for (var block = 0; block < blocks; block++, w += 288, x += 16 * step, scales += step, sums += step)
        {
            if (block % PackedMatrix.HeaderBlocks == 0) w = (byte*)(header = (Half*)w) + PackedMatrix.HeaderBytes;
            for (var lane = 0; lane < Lanes; lane++)
            {
                y[lane] = MathF.FusedMultiplyAdd(NibbleSum(w + 32 + (2 * lane), x, step), (float)header[lane] * w[lane] * *scales, y[lane]);
                y[lane] = MathF.FusedMultiplyAdd((float)header[Lanes + lane] * w[Lanes + lane], *sums, y[lane]);
            }
        }
    }

    private static void ScaledEightBit(byte* w, (int Blocks, int HeaderBlocks) length, int* x, int step, float* scales, float* sums, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        var header = (Half*)w;
        for (var block = 0; block < length.Blocks; block++, w += 576, x += 16 * step, scales += step, sums += step)
        {
            if (block % length.HeaderBlocks == 0) w = (byte*)(header = (Half*)w) + PackedMatrix.HeaderBytes;
            for (var lane = 0; lane < Lanes; lane++)
            {
                for (var half = 0; half < 2; half++)
                {
                    var sum = ByteSum(w + 64 + (2 * lane), x, step, 8 * half, 8);
                    y[lane] = MathF.FusedMultiplyAdd(sum, (float)header[lane] * (sbyte)w[(Lanes * half) + lane] * *scales, y[lane]);
                }

                y[lane] = MathF.FusedMultiplyAdd((float)header[Lanes + lane] * w[(2 * Lanes) + lane], *sums, y[lane]);
            }
        }
    }

    private static int NibbleSum(byte* w, int* x, int step)
    {
        var sum = 0;
        for (var j = 0; j < 8; j++)
        {
            var (even, odd) = (w[32 * j], w[(32 * j) + 1]);
            sum += ((even & 15) * Even(x[j * step])) + ((odd & 15) * Odd(x[j * step]));
            sum += ((even >> 4) * Even(x[(j + 8) * step])) + ((odd >> 4) * Odd(x[(j + 8) * step]));
        }

        return sum;
    }

    private static int ByteSum(byte* w, int* x, int step, int first, int count)
    {
        var sum = 0;
        for (var j = first; j < first + count; j++) sum += ((sbyte)w[32 * j] * Even(x[j * step])) + ((sbyte)w[(32 * j) + 1] * Odd(x[j * step]));
        return sum;
    }

    private static void FourBit(byte* w, int blocks, int* x, int step, float* scales, float* sums, float* y)
    {
        new Span<float>(y, Lanes).Clear();
        for (var block = 0; block < blocks; block++, w += 320, x += 16 * step, scales += step, sums += step)
        {
            for (var lane = 0; lane < Lanes; lane++)
            {
                y[lane] = MathF.FusedMultiplyAdd(NibbleSum(w + 64 + (2 * lane), x, step), (float)((Half*)w)[lane] * *scales, y[lane]);
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
                y[lane] = MathF.FusedMultiplyAdd(ByteSum(w + 32 + (2 * lane), x, step, 0, 16), (float)((Half*)w)[lane] * *scales, y[lane]);
            }
        }
    }

    private static short Even(int pair) => (short)pair;

    private static short Odd(int pair) => (short)(pair >> 16);
}
