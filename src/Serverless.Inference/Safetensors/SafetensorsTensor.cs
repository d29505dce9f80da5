using Serverless.Inference.Weights;

namespace Serverless.Inference.Safetensors;

/// <summary>One tensor of a file. Its bytes can be read until the file is disposed.</summary>
public sealed class SafetensorsTensor : WeightRows
{
    private readonly SafetensorsFile _file;
    private readonly long _offset;

    internal SafetensorsTensor(SafetensorsFile file, long offset) => (_file, _offset) = (file, offset);

    /// <summary>Its sizes, the one that is contiguous in memory last.</summary>
    public required IReadOnlyList<long> Dimensions { get; init; }

    internal override string Shape => string.Join(" × ", Dimensions.Reverse());

    internal override void Read(int row, Span<byte> into)
    {
        CheckRange(row, into.Length);
        _file.Read(_offset + ((long)row * RowBytes), into);
    }
}
