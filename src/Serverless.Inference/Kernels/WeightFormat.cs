namespace Serverless.Inference.Kernels;

/// <summary>How a packed matrix stores its numbers.</summary>
internal enum WeightFormat
{
    /// <summary>d·q + m, q of 4 bits, in blocks of 32.</summary>
    FourBit,

    /// <summary>d·q, q of 8 bits, in blocks of 32.</summary>
    EightBit,

    /// <summary>d·s·q + m·t, q of 4 bits, s and t of 8 bits for each block of 32, d and m for eight blocks.</summary>
    ScaledFourBit,

    /// <summary>d·s·q + m·t, q of 8 bits, s for each 16 columns and t for each 32, d and m for eight blocks.</summary>
    ScaledEightBit,

    /// <summary>As <see cref="ScaledEightBit"/>, with d and m for each block.</summary>
    ScaledEightBitBlock,

    /// <summary>16-bit floats.</summary>
    Half,

    /// <summary>The upper halves of 32-bit floats.</summary>
    UpperHalf,

    /// <summary>32-bit floats.</summary>
    Float,
}
