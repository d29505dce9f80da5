using System.Buffers.Binary;
using Serverless.Inference.Weights;
using Shouldly;

namespace Serverless.Tests.Inference.Weights;

/// <summary>Blocks of random bytes against ggml's layouts, written out a second time for one number at a time.</summary>
public sealed class DequantizerTests
{
    [Theory]
    [InlineData(WeightType.Q5_0)]
    [InlineData(WeightType.Q5_1)]
    [InlineData(WeightType.Q4_K)]
    [InlineData(WeightType.Q5_K)]
    [InlineData(WeightType.Q6_K)]
    [InlineData(WeightType.BF16)]
    public void Numbers_are_those_of_the_layout(WeightType type)
    {
        var random = new Random((int)type);
        for (var run = 0; run < 50; run++)
        {
            var block = new byte[type.BlockBytes()];
            random.NextBytes(block);
            foreach (var at in type switch { WeightType.Q6_K => [208], WeightType.BF16 => [], _ => (int[])[0, 2] }) BinaryPrimitives.WriteHalfLittleEndian(block.AsSpan(at), (Half)(random.NextDouble() - 0.5));
            var numbers = new float[type.BlockColumns()];

            Dequantizer.Read(type, block, numbers);

            for (var i = 0; i < numbers.Length; i++) numbers[i].ShouldBe(Number(type, block, i), $"number {i} of run {run}");
        }
    }

    private static float Number(WeightType type, byte[] block, int i)
    {
        var d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        var e = block.Length > 3 ? (float)BinaryPrimitives.ReadHalfLittleEndian(block.AsSpan(2)) : 0;
        switch (type)
        {
            case WeightType.Q5_0:
                return d * (Five(block, 2, 6, i) - 16);
            case WeightType.Q5_1:
                return (d * Five(block, 4, 8, i)) + e;
            case WeightType.Q4_K:
                return (d * Scale(block, i / 32) * Nibble(block, 16, i)) - (e * Minimum(block, i / 32));
            case WeightType.Q5_K:
                return (d * Scale(block, i / 32) * (Nibble(block, 48, i) + (16 * ((block[16 + (i % 32)] >> (i / 32)) & 1)))) - (e * Minimum(block, i / 32));
            case WeightType.Q6_K:
                var (half, quarter, l) = (i / 128, i % 128 / 32, i % 32);
                var low = (block[(64 * half) + (32 * (quarter % 2)) + l] >> (4 * (quarter / 2))) & 15;
                var high = (block[128 + (32 * half) + l] >> (2 * quarter)) & 3;
                return (float)BinaryPrimitives.ReadHalfLittleEndian(block.AsSpan(208)) * (sbyte)block[192 + (i / 16)] * (low + (16 * high) - 32);
            default:
                return BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(block) << 16);
        }
    }

    private static int Five(byte[] block, int high, int low, int i) =>
        ((block[low + (i % 16)] >> (4 * (i / 16))) & 15) + (int)(16 * ((BinaryPrimitives.ReadUInt32LittleEndian(block.AsSpan(high)) >> i) & 1));

    private static int Nibble(byte[] block, int at, int i) => (block[at + (32 * (i / 64)) + (i % 32)] >> (4 * (i / 32 % 2))) & 15;

    private static int Scale(byte[] block, int j) => j < 4 ? block[4 + j] & 63 : (block[8 + j] & 15) | (block[j] >> 6 << 4);

    private static int Minimum(byte[] block, int j) => j < 4 ? block[8 + j] & 63 : (block[8 + j] >> 4) | (block[4 + j] >> 6 << 4);
}
