namespace Serverless.Inference.Gguf;

/// <summary>One tensor of a file. Its bytes can be read until the file is disposed.</summary>
public sealed class GgufTensor
{
    private readonly GgufFile _file;
    private readonly long _offset;

    internal GgufTensor(GgufFile file, GgufFile.TensorInfo info, long offset)
    {
        (_file, _offset) = (file, offset);
        (Name, Dimensions, Type, Rows, RowBytes) = (info.Name, info.Dimensions, info.Type, info.Rows, info.RowBytes);
    }

    /// <summary>Numbers in a block of the quantized types.</summary>
    public const int BlockSize = 32;

    /// <summary>Its name, as in <c>blk.0.attn_q.weight</c>.</summary>
    public string Name { get; }

    /// <summary>One to four sizes, the one that is contiguous in memory first.</summary>
    public IReadOnlyList<int> Dimensions { get; }

    /// <summary>How it is stored.</summary>
    public GgufTensorType Type { get; }

    /// <summary>Its length in bytes.</summary>
    public long ByteLength => (long)Rows * RowBytes;

    /// <summary>Length of a row: the first dimension.</summary>
    public int Columns => Dimensions[0];

    /// <summary>All other dimensions multiplied.</summary>
    public int Rows { get; }

    /// <summary>Bytes of a row.</summary>
    public int RowBytes { get; }

    /// <summary>The bytes of row <paramref name="row"/>.</summary>
    /// <exception cref="GgufException">The file was cut off meanwhile, or cannot be read.</exception>
    public byte[] Row(int row)
    {
        var bytes = new byte[RowBytes];
        Read(row, bytes);
        return bytes;
    }

    /// <summary>Fills <paramref name="into"/>, which holds whole rows, with the rows from <paramref name="row"/> on.</summary>
    /// <exception cref="GgufException">The file was cut off meanwhile, or cannot be read.</exception>
    internal void Read(int row, Span<byte> into)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(row, Rows - (into.Length / RowBytes));
        _file.Read(_offset + ((long)row * RowBytes), into);
    }

    internal static long RowLength(GgufTensorType type, long columns) => type switch
    {
        GgufTensorType.F32 => columns * 4,
        GgufTensorType.F16 => columns * 2,
        GgufTensorType.Q4_0 => columns / BlockSize * 18,
        GgufTensorType.Q4_1 => columns / BlockSize * 20,
        GgufTensorType.Q8_0 => columns / BlockSize * 34,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };
}
