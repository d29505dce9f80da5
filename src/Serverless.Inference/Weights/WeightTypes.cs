namespace Serverless.Inference.Weights;

/// <summary>What is known of each type of weights.</summary>
internal static class WeightTypes
{
    /// <summary>The types as a fault lists them.</summary>
    public static string Listed { get; } = string.Join(", ", Enum.GetValues<WeightType>().Select(type => $"{type} ({(int)type})"));

    /// <summary>Numbers in a block; 1 for floats.</summary>
    public static int BlockColumns(this WeightType type) => type switch
    {
        WeightType.F32 or WeightType.F16 or WeightType.BF16 => 1,
        WeightType.Q4_K or WeightType.Q5_K or WeightType.Q6_K => 256,
        _ => 32,
    };

    /// <summary>Bytes of a block.</summary>
    public static int BlockBytes(this WeightType type) => type switch
    {
        WeightType.F32 => 4,
        WeightType.F16 or WeightType.BF16 => 2,
        WeightType.Q4_0 => 18,
        WeightType.Q4_1 => 20,
        WeightType.Q5_0 => 22,
        WeightType.Q5_1 => 24,
        WeightType.Q8_0 => 34,
        WeightType.Q4_K => 144,
        WeightType.Q5_K => 176,
        WeightType.Q6_K => 210,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };

    /// <summary>Bytes of a row of so many numbers, a multiple of its blocks.</summary>
    public static long RowBytes(this WeightType type, long columns) => columns / type.BlockColumns() * type.BlockBytes();
}
