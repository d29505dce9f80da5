namespace Serverless.Inference.Weights;

/// <summary>A matrix of floats that its file has the other way round, as GPT-2's linear layers have it. It is held in memory while it is read.</summary>
internal sealed class TransposedRows(WeightRows source) : WeightRows
{
    private readonly Lazy<byte[]> _all = new(() =>
    {
        var bytes = new byte[source.ByteLength];
        source.Read(0, bytes);
        return bytes;
    });

    internal override void Read(int row, Span<byte> into)
    {
        CheckRange(row, into.Length);
        var size = Type.BlockBytes();
        var all = _all.Value;
        for (; !into.IsEmpty; row++, into = into[RowBytes..])
        {
            for (var column = 0; column < Columns; column++) all.AsSpan((column * source.RowBytes) + (row * size), size).CopyTo(into[(column * size)..]);
        }
    }
}
