namespace Serverless.Inference.Weights;

/// <summary>Numbers of a model's file, row by row. They can be read until the file is closed; thread-safe.</summary>
public abstract class WeightRows
{
    /// <summary>Its name in the file.</summary>
    public required string Name { get; init; }

    /// <summary>How it is stored.</summary>
    public required WeightType Type { get; init; }

    /// <summary>Rows there are.</summary>
    public required int Rows { get; init; }

    /// <summary>Numbers of a row.</summary>
    public required int Columns { get; init; }

    /// <summary>Bytes of a row.</summary>
    public int RowBytes => (int)Type.RowBytes(Columns);

    /// <summary>Its length in bytes.</summary>
    public long ByteLength => (long)Rows * RowBytes;

    /// <summary>Its sizes as a fault tells them.</summary>
    internal virtual string Shape => $"{Columns} × {Rows}";

    /// <summary>The bytes of row <paramref name="row"/>.</summary>
    /// <exception cref="ModelFileException">The file was cut off meanwhile, or cannot be read.</exception>
    public byte[] Row(int row)
    {
        var bytes = new byte[RowBytes];
        Read(row, bytes);
        return bytes;
    }

    /// <summary>Fills <paramref name="into"/>, which holds whole rows, with the rows from <paramref name="row"/> on.</summary>
    /// <exception cref="ModelFileException">The file was cut off meanwhile, or cannot be read.</exception>
    internal abstract void Read(int row, Span<byte> into);

    /// <summary>Some of its rows.</summary>
    internal WeightRows Slice(int first, int count) => new RowRange(this, first) { Name = Name, Type = Type, Rows = count, Columns = Columns };

    /// <summary>Throws where rows are asked for that are not there.</summary>
    protected void CheckRange(int row, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(row, Rows - (length / RowBytes));
    }

    private sealed class RowRange(WeightRows all, int first) : WeightRows
    {
        internal override void Read(int row, Span<byte> into)
        {
            CheckRange(row, into.Length);
            all.Read(first + row, into);
        }
    }
}
