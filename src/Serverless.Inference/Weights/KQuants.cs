using System.Buffers.Binary;

namespace Serverless.Inference.Weights;

/// <summary>
/// Blocks of small integers as their parts, by ggml's definitions (ggml-quants.c): whole numbers q of at most seven bits and a sign, a scale for each 16 columns and a minimum for each 32.
/// A number is d·s·q + m·t.
/// </summary>
internal static class KQuants
{
    /// <summary>Takes the block at the beginning of <paramref name="source"/> apart.</summary>
    /// <param name="type">Q5_0, Q5_1, Q4_K, Q5_K or Q6_K.</param>
    /// <param name="source">The block.</param>
    /// <param name="q">Whole numbers, a block of them.</param>
    /// <param name="scales">s of each 16 columns.</param>
    /// <param name="minimums">t of each 32 columns.</param>
    public static (Half D, Half M) Read(WeightType type, ReadOnlySpan<byte> source, Span<sbyte> q, Span<sbyte> scales, Span<byte> minimums)
    {
        switch (type)
        {
            case WeightType.Q5_0:
                Five(source[2..], source[6..], -16, q);
                (scales[0], scales[1], minimums[0]) = (1, 1, 0);
                return (HalfAt(source), default);
            case WeightType.Q5_1:
                Five(source[4..], source[8..], 0, q);
                (scales[0], scales[1], minimums[0]) = (1, 1, 1);
                return (HalfAt(source), HalfAt(source[2..]));
            case WeightType.Q4_K:
                SixBits(source[4..16], scales, minimums);
                Nibbles(source[16..144], default, q);
                return (HalfAt(source), -HalfAt(source[2..]));
            case WeightType.Q5_K:
                SixBits(source[4..16], scales, minimums);
                Nibbles(source[48..176], source[16..48], q);
                return (HalfAt(source), -HalfAt(source[2..]));
            case WeightType.Q6_K:
                Six(source, q);
                for (var i = 0; i < 16; i++) scales[i] = (sbyte)source[192 + i];
                minimums.Clear();
                return (HalfAt(source[208..]), default);
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, null);
        }
    }

    private static Half HalfAt(ReadOnlySpan<byte> source) => BinaryPrimitives.ReadHalfLittleEndian(source);

    private static void Five(ReadOnlySpan<byte> high, ReadOnlySpan<byte> nibbles, int shift, Span<sbyte> q)
    {
        var bits = BinaryPrimitives.ReadUInt32LittleEndian(high);
        for (var i = 0; i < 16; i++)
        {
            q[i] = (sbyte)((nibbles[i] & 15) + (int)(((bits >> i) & 1) << 4) + shift);
            q[i + 16] = (sbyte)((nibbles[i] >> 4) + (int)(((bits >> (i + 16)) & 1) << 4) + shift);
        }
    }

    /// <summary>Eight scales and eight minimums of six bits in twelve bytes: the first four of each lie whole, the upper two bits of the others beside them.</summary>
    private static void SixBits(ReadOnlySpan<byte> packed, Span<sbyte> scales, Span<byte> minimums)
    {
        for (var i = 0; i < 8; i++)
        {
            var scale = i < 4 ? packed[i] & 63 : (packed[i + 4] & 15) | (packed[i - 4] >> 6 << 4);
            (scales[2 * i], scales[(2 * i) + 1]) = ((sbyte)scale, (sbyte)scale);
            minimums[i] = (byte)(i < 4 ? packed[i + 4] & 63 : (packed[i + 4] >> 4) | (packed[i] >> 6 << 4));
        }
    }

    /// <summary>32 bytes hold 64 columns: the low nibbles the first 32, the high ones the others; the fifth bits of all eight 32s lie in the same 32 bytes.</summary>
    private static void Nibbles(ReadOnlySpan<byte> nibbles, ReadOnlySpan<byte> high, Span<sbyte> q)
    {
        for (var part = 0; part < 4; part++)
        {
            for (var i = 0; i < 32; i++)
            {
                var two = nibbles[(32 * part) + i];
                var fifth = high.IsEmpty ? 0 : high[i] >> (2 * part);
                q[(64 * part) + i] = (sbyte)((two & 15) | ((fifth & 1) << 4));
                q[(64 * part) + 32 + i] = (sbyte)((two >> 4) | ((fifth & 2) << 3));
            }
        }
    }

    private static void Six(ReadOnlySpan<byte> source, Span<sbyte> q)
    {
        for (var half = 0; half < 2; half++)
        {
            var low = source[(64 * half)..];
            var high = source[(128 + (32 * half))..];
            for (var i = 0; i < 32; i++)
            {
                q[(128 * half) + i] = (sbyte)(((low[i] & 15) | ((high[i] & 3) << 4)) - 32);
                q[(128 * half) + 32 + i] = (sbyte)(((low[i + 32] & 15) | (((high[i] >> 2) & 3) << 4)) - 32);
                q[(128 * half) + 64 + i] = (sbyte)(((low[i] >> 4) | (((high[i] >> 4) & 3) << 4)) - 32);
                q[(128 * half) + 96 + i] = (sbyte)(((low[i + 32] >> 4) | (((high[i] >> 6) & 3) << 4)) - 32);
            }
        }
    }
}
