using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Kernels;

/// <summary>
/// A weight matrix in the order in which the kernels read it: groups of 16 rows, side by side. A column pair of a group is one vector, a lane per row, so that one
/// broadcast pair of activations serves all sixteen and no sum crosses lanes.
/// </summary>
/// <remarks>
/// A group is a run of blocks of 32 columns; of the scaled formats, a run of eight blocks (or of one) behind a header of theirs:
/// <code>
/// FourBit         16 half d | 16 half m | 8 × 32 bytes: byte (row, pair) of step j holds step j in its low nibble and step j + 8 in its high one      320 bytes
/// EightBit        16 half d | 16 × 32 bytes: (row, pair) of step j                                                                                     544 bytes
/// header          16 half d | 16 half m                                                                                                                 64 bytes
/// ScaledFourBit   16 s | 16 t | 8 × 32 bytes as FourBit                                                                                                288 bytes
/// ScaledEightBit  16 s of columns 0–15 | 16 s of columns 16–31 | 16 t | 16 unused | 16 × 32 bytes as EightBit                                          576 bytes
/// Half            32 × 16 halves: a column's 16 rows (UpperHalf: the same)                                                                           1,024 bytes
/// Float           32 × 16 floats: a column's 16 rows                                                                                                 2,048 bytes
/// </code>
/// </remarks>
internal sealed unsafe class PackedMatrix : IDisposable
{
    /// <summary>Rows of a group.</summary>
    public const int GroupRows = 16;

    /// <summary>Columns of a block.</summary>
    public const int BlockColumns = 32;

    /// <summary>Bytes of a header of the scaled formats.</summary>
    public const int HeaderBytes = 64;

    /// <summary>Blocks behind a header of <see cref="WeightFormat.ScaledFourBit"/> and <see cref="WeightFormat.ScaledEightBit"/>.</summary>
    public const int HeaderBlocks = 8;

    private const int BytesAtOnce = 1 << 20;

    private readonly NativeMemoryBlock _memory;

    private PackedMatrix(int rows, int columns, WeightFormat format)
    {
        (Rows, Columns, Format) = (rows, columns, format);
        _memory = new NativeMemoryBlock(GroupBytes * Groups);
    }

    /// <summary>Length of an output vector; between two tensors there may be rows of zeros.</summary>
    public int Rows { get; }

    /// <summary>Length of an input vector; a multiple of 32.</summary>
    public int Columns { get; }

    public WeightFormat Format { get; }

    /// <summary>Whether its products are of the quantized activations.</summary>
    public bool IsQuantized => Format is not (WeightFormat.Float or WeightFormat.Half or WeightFormat.UpperHalf);

    public int Groups => Padded(Rows) / GroupRows;

    public int Blocks => Columns / BlockColumns;

    public long ByteLength => _memory.ByteLength;

    /// <summary>Blocks between two headers; none where there are no headers.</summary>
    public int BlocksOfHeader => Format switch
    {
        WeightFormat.ScaledFourBit or WeightFormat.ScaledEightBit => HeaderBlocks,
        WeightFormat.ScaledEightBitBlock => 1,
        _ => 0,
    };

    private int BlockBytes => Format switch
    {
        WeightFormat.FourBit => 320,
        WeightFormat.EightBit => 544,
        WeightFormat.ScaledFourBit => 288,
        WeightFormat.ScaledEightBit or WeightFormat.ScaledEightBitBlock => 576,
        WeightFormat.Half or WeightFormat.UpperHalf => BlockColumns * GroupRows * sizeof(ushort),
        _ => BlockColumns * GroupRows * sizeof(float),
    };

    private long GroupBytes => ((long)BlockBytes * Blocks) + (BlocksOfHeader == 0 ? 0 : (long)HeaderBytes * Blocks / BlocksOfHeader);

    /// <summary>So many rows, rounded up to whole groups.</summary>
    public static int Padded(int rows) => (rows + GroupRows - 1) / GroupRows * GroupRows;

    /// <summary>The format that tensors of a type are packed to, without loss.</summary>
    public static WeightFormat FormatOf(WeightType type) => type switch
    {
        WeightType.Q4_0 or WeightType.Q4_1 => WeightFormat.FourBit,
        WeightType.Q5_0 or WeightType.Q8_0 => WeightFormat.EightBit,
        WeightType.Q4_K => WeightFormat.ScaledFourBit,
        WeightType.Q5_K or WeightType.Q6_K => WeightFormat.ScaledEightBit,
        WeightType.Q5_1 => WeightFormat.ScaledEightBitBlock,
        WeightType.F16 => WeightFormat.Half,
        WeightType.BF16 => WeightFormat.UpperHalf,
        _ => WeightFormat.Float,
    };

    /// <summary>Packs tensors of equal row length and format below each other, each from a new group on.</summary>
    public static PackedMatrix Pack(params ReadOnlySpan<WeightRows> tensors)
    {
        var rows = 0;
        foreach (var tensor in tensors) rows = Padded(rows) + tensor.Rows;
        var matrix = new PackedMatrix(rows, tensors[0].Columns, FormatOf(tensors[0].Type));
        try
        {
            var row = 0;
            foreach (var tensor in tensors)
            {
                row = Padded(row);
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
        catch
        {
            matrix.Dispose();
            throw;
        }
    }

    /// <summary>The numbers of one row, as the file's format defines them; <paramref name="output"/> is as long as a row.</summary>
    public void Unpack(int row, float* output)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        var source = Group(row / GroupRows);
        var lane = row % GroupRows;
        var header = source;
        for (var block = 0; block < Blocks; block++, source += BlockBytes, output += BlockColumns)
        {
            if (BlocksOfHeader > 0 && block % BlocksOfHeader == 0) source = (header = source) + HeaderBytes;
            switch (Format)
            {
                case WeightFormat.FourBit:
                    var (scale, minimum) = ((float)((Half*)source)[lane], (float)((Half*)source)[GroupRows + lane]);
                    UnpackNibbles(source + 64 + (2 * lane), scale, minimum, output);
                    break;
                case WeightFormat.EightBit:
                    UnpackBytes(source + 32 + (2 * lane), (float)((Half*)source)[lane], (float)((Half*)source)[lane], 0, output);
                    break;
                case WeightFormat.ScaledFourBit:
                    UnpackNibbles(source + 32 + (2 * lane), (float)((Half*)header)[lane] * source[lane], (float)((Half*)header)[GroupRows + lane] * source[16 + lane], output);
                    break;
                case WeightFormat.ScaledEightBit or WeightFormat.ScaledEightBitBlock:
                    var d = (float)((Half*)header)[lane];
                    UnpackBytes(source + 64 + (2 * lane), d * (sbyte)source[lane], d * (sbyte)source[16 + lane], (float)((Half*)header)[GroupRows + lane] * source[32 + lane], output);
                    break;
                case WeightFormat.Half:
                    for (var i = 0; i < BlockColumns; i++) output[i] = (float)((Half*)source)[(i * GroupRows) + lane];
                    break;
                case WeightFormat.UpperHalf:
                    for (var i = 0; i < BlockColumns; i++) output[i] = BitConverter.UInt32BitsToSingle((uint)((ushort*)source)[(i * GroupRows) + lane] << 16);
                    break;
                default:
                    for (var i = 0; i < BlockColumns; i++) output[i] = ((float*)source)[(i * GroupRows) + lane];
                    break;
            }
        }
    }

    public byte* Group(int group) => _memory.Bytes + (group * GroupBytes);

    public void Dispose() => _memory.Dispose();

    private static void UnpackNibbles(byte* nibbles, float scale, float minimum, float* output)
    {
        for (var i = 0; i < 16; i++)
        {
            var two = nibbles[(32 * (i / 2)) + (i % 2)];
            output[i] = (scale * (two & 15)) + minimum;
            output[16 + i] = (scale * (two >> 4)) + minimum;
        }
    }

    private static void UnpackBytes(byte* bytes, float lower, float upper, float minimum, float* output)
    {
        for (var i = 0; i < BlockColumns; i++) output[i] = ((i < 16 ? lower : upper) * (sbyte)bytes[(32 * (i / 2)) + (i % 2)]) + minimum;
    }

    private void PackRow(int row, WeightType type, ReadOnlySpan<byte> source)
    {
        var target = Group(row / GroupRows);
        var lane = row % GroupRows;
        switch (type)
        {
            case WeightType.Q4_0 or WeightType.Q4_1:
                PackFourBit(source, type, target, lane);
                break;
            case WeightType.Q8_0:
                PackEightBit(source, target, lane);
                break;
            case WeightType.F16 or WeightType.BF16:
                var halves = MemoryMarshal.Cast<byte, ushort>(source);
                for (var i = 0; i < Columns; i++) ((ushort*)target)[(i * GroupRows) + lane] = halves[i];
                break;
            case WeightType.F32:
                var values = MemoryMarshal.Cast<byte, float>(source);
                for (var i = 0; i < Columns; i++) ((float*)target)[(i * GroupRows) + lane] = values[i];
                break;
            default:
                PackIntegers(source, type, target, lane);
                break;
        }
    }

    private void PackFourBit(ReadOnlySpan<byte> source, WeightType type, byte* target, int lane)
    {
        var (length, nibblesAt) = type == WeightType.Q4_0 ? (18, 2) : (20, 4);
        for (var block = 0; block < Blocks; block++, target += 320, source = source[length..])
        {
            var scale = BinaryPrimitives.ReadHalfLittleEndian(source);
            ((Half*)target)[lane] = scale;
            ((Half*)target)[GroupRows + lane] = type == WeightType.Q4_0 ? (Half)(-8 * (float)scale) : BinaryPrimitives.ReadHalfLittleEndian(source[2..]);

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

    private void PackIntegers(ReadOnlySpan<byte> source, WeightType type, byte* target, int lane)
    {
        Span<sbyte> q = stackalloc sbyte[256];
        Span<sbyte> scales = stackalloc sbyte[16];
        Span<byte> minimums = stackalloc byte[8];
        for (; !source.IsEmpty; source = source[type.BlockBytes()..])
        {
            var (d, m) = KQuants.Read(type, source, q, scales, minimums);
            if (BlocksOfHeader > 0)
            {
                ((Half*)target)[lane] = d;
                ((Half*)target)[GroupRows + lane] = m;
                target += HeaderBytes;
            }

            for (var block = 0; block < type.BlockColumns() / BlockColumns; block++, target += BlockBytes)
            {
                var numbers = q[(block * BlockColumns)..];
                switch (Format)
                {
                    case WeightFormat.ScaledFourBit:
                        (target[lane], target[16 + lane]) = ((byte)scales[2 * block], minimums[block]);
                        PackNibbles(numbers, target + 32 + (2 * lane));
                        break;
                    case WeightFormat.EightBit:
                        ((Half*)target)[lane] = d;
                        PackBytes(numbers, target + 32 + (2 * lane));
                        break;
                    default:
                        (target[lane], target[16 + lane], target[32 + lane]) = ((byte)scales[2 * block], (byte)scales[(2 * block) + 1], minimums[block]);
                        PackBytes(numbers, target + 64 + (2 * lane));
                        break;
                }
            }
        }
    }

    private static void PackNibbles(ReadOnlySpan<sbyte> numbers, byte* steps)
    {
        for (var i = 0; i < 16; i++) steps[(32 * (i / 2)) + (i % 2)] = (byte)((byte)numbers[i] | ((byte)numbers[i + 16] << 4));
    }

    private static void PackBytes(ReadOnlySpan<sbyte> numbers, byte* steps)
    {
        for (var i = 0; i < BlockColumns; i++) steps[(32 * (i / 2)) + (i % 2)] = (byte)numbers[i];
    }
}
