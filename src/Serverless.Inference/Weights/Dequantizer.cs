using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Serverless.Inference.Weights;

/// <summary>What the stored numbers of a tensor mean, by ggml's definitions.</summary>
internal static class Dequantizer
{
    /// <summary>The numbers of row <paramref name="row"/>; <paramref name="output"/> is as long as a row.</summary>
    public static void Read(WeightRows tensor, int row, Span<float> output) => Read(tensor.Type, tensor.Row(row), output);

    /// <summary>The numbers of a row of that type; <paramref name="output"/> is as long as a row.</summary>
    public static void Read(WeightType type, ReadOnlySpan<byte> source, Span<float> output)
    {
        switch (type)
        {
            case WeightType.F32:
                MemoryMarshal.Cast<byte, float>(source).CopyTo(output);
                break;
            case WeightType.F16:
                var halves = MemoryMarshal.Cast<byte, Half>(source);
                for (var i = 0; i < output.Length; i++) output[i] = (float)halves[i];
                break;
            case WeightType.BF16:
                var uppers = MemoryMarshal.Cast<byte, ushort>(source);
                for (var i = 0; i < output.Length; i++) output[i] = BitConverter.UInt32BitsToSingle((uint)uppers[i] << 16);
                break;
            case WeightType.Q8_0:
                for (; !output.IsEmpty; source = source[34..], output = output[32..])
                {
                    var scale = (float)BinaryPrimitives.ReadHalfLittleEndian(source);
                    for (var i = 0; i < 32; i++) output[i] = scale * (sbyte)source[2 + i];
                }

                break;
            case WeightType.Q4_0:
                for (; !output.IsEmpty; source = source[18..], output = output[32..])
                {
                    var scale = (float)BinaryPrimitives.ReadHalfLittleEndian(source);
                    Nibbles(source[2..], scale, -8 * scale, output);
                }

                break;
            case WeightType.Q4_1:
                for (; !output.IsEmpty; source = source[20..], output = output[32..])
                {
                    Nibbles(source[4..], (float)BinaryPrimitives.ReadHalfLittleEndian(source), (float)BinaryPrimitives.ReadHalfLittleEndian(source[2..]), output);
                }

                break;
            default:
                for (; !output.IsEmpty; source = source[type.BlockBytes()..], output = output[type.BlockColumns()..]) Integers(type, source, output[..type.BlockColumns()]);
                break;
        }
    }

    private static void Nibbles(ReadOnlySpan<byte> nibbles, float scale, float minimum, Span<float> output)
    {
        for (var i = 0; i < 16; i++)
        {
            output[i] = (scale * (nibbles[i] & 15)) + minimum;
            output[16 + i] = (scale * (nibbles[i] >> 4)) + minimum;
        }
    }

    private static void Integers(WeightType type, ReadOnlySpan<byte> source, Span<float> output)
    {
        Span<sbyte> q = stackalloc sbyte[256];
        Span<sbyte> scales = stackalloc sbyte[16];
        Span<byte> minimums = stackalloc byte[8];
        var (d, m) = KQuants.Read(type, source, q, scales, minimums);
        for (var i = 0; i < output.Length; i++) output[i] = ((float)d * scales[i / 16] * q[i]) + ((float)m * minimums[i / 32]);
    }
}
