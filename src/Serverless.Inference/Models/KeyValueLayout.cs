namespace Serverless.Inference.Models;

/// <summary>
/// Where a page has its keys and values. Keys lie column-wise, so that scores of many positions are computed in the lanes of a vector; values lie row-wise.
/// <code>layer, head: keys [head size][32 positions] | values [32 positions][head size] | of 8-bit ones: key scales [32] | value scales [32]</code>
/// </summary>
internal sealed unsafe class KeyValueLayout(ModelConfig config, KeyValueFormat format)
{
    private const int Tokens = KeyValuePage.Tokens;
    private const float LargestHalf = 65504;
    private const float Levels = 127;

    public KeyValueFormat Format { get; } = format;

    public int HeadSize { get; } = config.HeadSize;

    /// <summary>Bytes of a page in all layers.</summary>
    public long PageBytes => (long)config.Layers * config.KeyValueHeads * HeadBytes;

    private int ElementBytes => Format switch
    {
        KeyValueFormat.F16 => sizeof(ushort),
        KeyValueFormat.Q8 => sizeof(sbyte),
        _ => sizeof(float),
    };

    private int HeadBytes => (2 * HeadSize * Tokens * ElementBytes) + (Format == KeyValueFormat.Q8 ? 2 * Tokens * sizeof(float) : 0);

    /// <summary>Where a head's keys begin in the memory of a page.</summary>
    public byte* Keys(byte* page, int layer, int head) => page + ((((long)layer * config.KeyValueHeads) + head) * HeadBytes);

    public byte* Values(byte* keys) => keys + (HeadSize * Tokens * ElementBytes);

    /// <summary>Scales of keys; those of values begin 32 further on.</summary>
    public float* Scales(byte* keys) => (float*)(keys + (2 * HeadSize * Tokens * ElementBytes));

    /// <summary>Keeps a token's key and value of a head.</summary>
    public void Store(byte* keys, int slot, float* key, float* value)
    {
        switch (Format)
        {
            case KeyValueFormat.F16:
                StoreHalves((ushort*)keys + slot, Tokens, key);
                StoreHalves((ushort*)Values(keys) + (slot * HeadSize), 1, value);
                break;
            case KeyValueFormat.Q8:
                Scales(keys)[slot] = StoreBytes((sbyte*)keys + slot, Tokens, key);
                Scales(keys)[Tokens + slot] = StoreBytes((sbyte*)Values(keys) + (slot * HeadSize), 1, value);
                break;
            default:
                for (var i = 0; i < HeadSize; i++) ((float*)keys)[(i * Tokens) + slot] = key[i];
                new Span<float>(value, HeadSize).CopyTo(new Span<float>((float*)Values(keys) + (slot * HeadSize), HeadSize));
                break;
        }
    }

    private void StoreHalves(ushort* target, int step, float* vector)
    {
        for (var i = 0; i < HeadSize; i++) target[i * step] = BitConverter.HalfToUInt16Bits((Half)Math.Clamp(vector[i], -LargestHalf, LargestHalf));
    }

    private float StoreBytes(sbyte* target, int step, float* vector)
    {
        var largest = 0f;
        for (var i = 0; i < HeadSize; i++) largest = MathF.Max(largest, MathF.Abs(vector[i]));
        var inverse = largest > 0 ? Levels / largest : 0;
        for (var i = 0; i < HeadSize; i++) target[i * step] = (sbyte)MathF.Round(vector[i] * inverse);
        return largest / Levels;
    }
}
