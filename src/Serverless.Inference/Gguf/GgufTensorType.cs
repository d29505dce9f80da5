namespace Serverless.Inference.Gguf;

/// <summary>How a tensor's numbers are stored; the values are ggml's.</summary>
public enum GgufTensorType
{
    /// <summary>32-bit floats.</summary>
    F32 = 0,

    /// <summary>16-bit floats.</summary>
    F16 = 1,

    /// <summary>Blocks of 32: a half scale d, 32 nibbles q; d·(q − 8).</summary>
    Q4_0 = 2,

    /// <summary>Blocks of 32: a half scale d, a half minimum m, 32 nibbles q; d·q + m.</summary>
    Q4_1 = 3,

    /// <summary>Blocks of 32: a half scale d, 32 signed bytes q; d·q.</summary>
    Q8_0 = 8,
}
