using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Serverless.Inference.Models;

/// <summary>Elements of keys or values, read as floats, exactly.</summary>
internal unsafe interface IKeyValueElements
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Bytes { get; }

    /// <summary>Whether each token has a scale.</summary>
    static abstract bool AreScaled { get; }

    /// <summary>Eight of them.</summary>
    static abstract Vector256<float> Load(byte* at);
}

/// <summary>Floats, also of a page that was made ready for many queries.</summary>
internal readonly unsafe struct FloatElements : IKeyValueElements
{
    public static int Bytes => sizeof(float);

    public static bool AreScaled => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(byte* at) => Vector256.Load((float*)at);
}

/// <summary>Half floats.</summary>
internal readonly unsafe struct HalfElements : IKeyValueElements
{
    public static int Bytes => sizeof(ushort);

    public static bool AreScaled => false;

    /// <summary>Moved to where a float has sign, exponent and fraction, a half is 2^112 times too small: subnormal ones too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(byte* at)
    {
        Vector256<int> wide;
        if (Avx2.IsSupported)
        {
            wide = Avx2.ConvertToVector256Int32((short*)at);
        }
        else
        {
            var (lower, upper) = Vector128.Widen(Vector128.Load((short*)at));
            wide = Vector256.Create(lower, upper);
        }

        return ((wide << 13) & Vector256.Create(unchecked((int)0x8FFF_E000))).AsSingle() * 5.192296858534828e33f;
    }
}

/// <summary>8-bit integers, to be scaled.</summary>
internal readonly unsafe struct ByteElements : IKeyValueElements
{
    public static int Bytes => sizeof(sbyte);

    public static bool AreScaled => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(byte* at)
    {
        Vector256<int> wide;
        if (Avx2.IsSupported)
        {
            wide = Avx2.ConvertToVector256Int32((sbyte*)at);
        }
        else
        {
            var (lower, upper) = Vector128.Widen(Vector128.WidenLower(Vector128.CreateScalar(*(long*)at).AsSByte()));
            wide = Vector256.Create(lower, upper);
        }

        return Vector256.ConvertToSingle(wide);
    }
}
