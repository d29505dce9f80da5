using Serverless.Inference.Weights;

namespace Serverless.Inference.Gguf;

/// <summary>One tensor of a file. Its bytes can be read until the file is disposed.</summary>
public sealed class GgufTensor : WeightRows
{
    private GgufFile? _file;
    private long _offset;

    private GgufTensor()
    {
    }

    /// <summary>One to four sizes, the one that is contiguous in memory first; all but the first multiplied are its rows.</summary>
    public required IReadOnlyList<int> Dimensions { get; init; }

    internal override string Shape => string.Join(" × ", Dimensions);

    internal static GgufTensor Of(GgufFile file, GgufFile.TensorInfo info, long offset) => new()
    {
        _file = file,
        _offset = offset,
        Name = info.Name,
        Dimensions = info.Dimensions,
        Type = info.Type,
        Rows = info.Rows,
        Columns = info.Dimensions[0],
    };

    internal override void Read(int row, Span<byte> into)
    {
        CheckRange(row, into.Length);
        _file!.Read(_offset + ((long)row * RowBytes), into);
    }
}
