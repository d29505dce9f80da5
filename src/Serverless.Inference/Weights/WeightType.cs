namespace Serverless.Inference.Weights;

/// <summary>How a tensor's numbers are stored; the values are ggml's.</summary>
public enum WeightType
{
    /// <summary>32-bit floats.</summary>
    F32 = 0,

    /// <summary>16-bit floats.</summary>
    F16 = 1,

    /// <summary>Blocks of 32: a half scale d, 32 nibbles q; d·(q − 8).</summary>
    Q4_0 = 2,

    /// <summary>Blocks of 32: a half scale d, a half minimum m, 32 nibbles q; d·q + m.</summary>
    Q4_1 = 3,

    /// <summary>Blocks of 32: a half scale d, 32 fifth bits, 32 nibbles; d·(q − 16).</summary>
    Q5_0 = 6,

    /// <summary>Blocks of 32: a half scale d, a half minimum m, 32 fifth bits, 32 nibbles; d·q + m.</summary>
    Q5_1 = 7,

    /// <summary>Blocks of 32: a half scale d, 32 signed bytes q; d·q.</summary>
    Q8_0 = 8,

    /// <summary>Blocks of 256: half scales d and e, for each 32 a scale s and a minimum m of six bits, nibbles q; d·s·q − e·m.</summary>
    Q4_K = 12,

    /// <summary>As <see cref="Q4_K"/>, with a fifth bit.</summary>
    Q5_K = 13,

    /// <summary>Blocks of 256: a half scale d, for each 16 a signed byte s, q of six bits; d·s·(q − 32).</summary>
    Q6_K = 14,

    /// <summary>The upper halves of 32-bit floats.</summary>
    BF16 = 30,
}
