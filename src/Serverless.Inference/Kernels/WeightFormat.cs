namespace Serverless.Inference.Kernels;

/// <summary>How a packed matrix stores its numbers.</summary>
internal enum WeightFormat
{
    /// <summary>d·q + m, q of 4 bits, in blocks of 32.</summary>
    FourBit,

    /// <summary>d·q, q of 8 bits, in blocks of 32.</summary>
    EightBit,

    /// <summary>32-bit floats.</summary>
    Float,
}
