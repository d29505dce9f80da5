using System.Buffers.Binary;
using Serverless.Inference.Gguf;

namespace Serverless.Inference.Kernels;

/// <summary>
/// A weight matrix in the order in which the kernels read it: groups of 16 rows, side by side. A column pair of a group is one vector, a lane per row, so that one
/// broadcast pair of activations serves all sixteen and no sum crosses lanes.
/// </summary>
/// <remarks>
/// A group is a run of blocks of 32 columns:
/// <code>
/// FourBit   16 half d | 16 half m | 8 × 32 bytes: byte (row, pair) of step j holds step j in its low nibble and step j + 8 in its high one      320 bytes
/// EightBit  16 half d | 16 × 32 bytes: (row, pair) of step j                                                                                     544 bytes
/// Float     32 × 16 floats: a column's 16 rows                                                                                                2,048 bytes
/// </code>
/// </remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    /// <summary>Rows of a group.</summary>
    public const int GroupRows = 16;

    /// <summary>Columns of a block.</summary>
    public const int BlockColumns = 32;

    private const int BytesAtOnce = 1 << 20;

    private readonly NativeMemoryBlock _memory;

    private PackedMatrix(int rows, int columns, WeightFormat format)
    {
        (Rows, Columns, Format) = (rows, columns, format);
        _memory = new NativeMemoryBlock(GroupBytes * Groups);
    }

    /// <summary>Length of an output vector.</summary>
    public int Rows { get; }

    /// <summary>Length of an input vector; a multiple of 32.</summary>
    public int Columns { get; }

    public WeightFormat Format { get; }

    public int Groups => (Rows + GroupRows - 1) / GroupRows;

    public int Blocks => Columns / BlockColumns;

    public long ByteLength => _memory.ByteLength;

    private int BlockBytes => Format switch
    {
        WeightFormat.FourBit => 320,
        WeightFormat.EightBit => 544,
        _ => BlockColumns * GroupRows * sizeof(float),
    };

    private long GroupBytes => (long)BlockBytes * Blocks;

    /// <summary>Packs tensors of equal row length below each other.</summary>
    public static PackedMatrix Pack(params ReadOnlySpan<GgufTensor> tensors)
    {
        var rows = 0;
        var format = FormatOf(tensors[0].Type);
        foreach (var tensor in tensors)
        {
            rows += tensor.Rows;
            if (FormatOf(tensor.Type) != format) format = WeightFormat.Float; // unlike formats are joined as what they mean
        }

        var matrix = new PackedMatrix(rows, tensors[0].Columns, format);
        var row = 0;
        foreach (var tensor in tensors)
        {
            var some = Math.Clamp(BytesAtOnce / tensor.RowBytes, 1, tensor.Rows);
            var bytes = new byte[some * tensor.RowBytes];
            for (var i = 0; i < tensor.Rows; i += some)
            {
                var left = bytes.AsSpan(0, Math.Min(some, tensor.Rows - i) * tensor.RowBytes);
                tensor.Read(i, left);
                for (; !left.IsEmpty; left = left[tensor.RowBytes..]) matrix.PackRow(row++, tensor.Type, left[..tensor.RowBytes]);
            }
        }

        return matrix;
    }

    /// <summary>The numbers of one row, as the file's format defines them; <paramref name="output"/> is as long as a row.</summary>
    public void Unpack(int row, float* output)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        var source = Group(row / GroupRows);
        var lane = row % GroupRows;
        for (var block = 0; block < Blocks; block++, source += BlockBytes, output += BlockColumns)
        {
            switch (Format)
            {
                case WeightFormat.FourBit:
                    var (scale, minimum) = ((float)((Half*)source)[lane], (float)((Half*)source)[GroupRows + lane]);
                    var nibbles = source + 64 + (2 * lane);
                    for (var i = 0; i < 16; i++)
                    {
                        var two = nibbles[(32 * (i / 2)) + (i % 2)];
                        output[i] = (scale * (two & 15)) + minimum;
                        output[16 + i] = (scale * (two >> 4)) + minimum;
                    }

                    break;
                case WeightFormat.EightBit:
                    var factor = (float)((Half*)source)[lane];
                    var bytes = (sbyte*)source + 32 + (2 * lane);
                    for (var i = 0; i < BlockColumns; i++) output[i] = factor * bytes[(32 * (i / 2)) + (i % 2)];
                    break;
                default:
                    for (var i = 0; i < BlockColumns; i++) output[i] = ((float*)source)[(i * GroupRows) + lane];
                    break;
            }
        }
    }

    public byte* Group(int group) => _memory.Bytes + (group * GroupBytes);

    public void Dispose() => _memory.Dispose();

    private static WeightFormat FormatOf(GgufTensorType type) => type switch
    {
        GgufTensorType.Q4_0 or GgufTensorType.Q4_1 => WeightFormat.FourBit,
        GgufTensorType.Q8_0 => WeightFormat.EightBit,
        _ => WeightFormat.Float,
    };

    private void PackRow(int row, GgufTensorType type, ReadOnlySpan<byte> source)
    {
        var target = Group(row / GroupRows);
        var lane = row % GroupRows;
        switch (Format)
        {
            case WeightFormat.FourBit:
                PackFourBit(source, type, target, lane);
                break;
            case WeightFormat.EightBit:
                PackEightBit(source, target, lane);
                break;
            default:
                var values = new float[Columns];
                Dequantizer.Read(type, source, values);
                for (var i = 0; i < Columns; i++) ((float*)target)[(i * GroupRows) + lane] = values[i];
                break;
        }
    }

    private void PackFourBit(ReadOnlySpan<byte> source, GgufTensorType type, byte* target, int lane)
    {
        var (length, nibblesAt) = type == GgufTensorType.Q4_0 ? (18, 2) : (20, 4);
        for (var block = 0; block < Blocks; block++, target += 320, source = source[length..])
        {
            var scale = BinaryPrimitives.ReadHalfLittleEndian(source);
            ((Half*)target)[lane] = scale;
            ((Half*)target)[GroupRows + lane] = type == GgufTensorType.Q4_0 ? (Half)(-8 * (float)scale) : BinaryPrimitives.ReadHalfLittleEndian(source[2..]);

            // ggml keeps columns i and i + 16 in byte i, which is steps j and j + 8 of our pairs: the nibbles stay as they are.
            var nibbles = source[nibblesAt..];
            var steps = target + 64 + (2 * lane);
            for (var j = 0; j < 8; j++, steps += 32) (steps[0], steps[1]) = (nibbles[2 * j], nibbles[(2 * j) + 1]);
        }
    }

    private void PackEightBit(ReadOnlySpan<byte> source, byte* target, int lane)
    {
        for (var block = 0; block < Blocks; block++, target += 544, source = source[34..])
        {
            ((Half*)target)[lane] = BinaryPrimitives.ReadHalfLittleEndian(source);
            var steps = target + 32 + (2 * lane);
            for (var j = 0; j < 16; j++, steps += 32) (steps[0], steps[1]) = (source[2 + (2 * j)], source[3 + (2 * j)]);
        }
    }
}
