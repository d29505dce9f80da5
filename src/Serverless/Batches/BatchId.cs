using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Serverless.Batches;

/// <summary>Names one batch: <c>batch_</c> and 32 hex digits.</summary>
public readonly record struct BatchId
{
    private const string Prefix = "batch_";
    private const int Digits = 32;

    private static readonly SearchValues<char> Hex = SearchValues.Create("0123456789abcdef");

    private BatchId(string value) => Value = value;

    /// <summary>As clients have it.</summary>
    public string Value { get; }

    /// <summary>A fresh one.</summary>
    public static BatchId New() => new(Prefix + RandomNumberGenerator.GetHexString(Digits, lowercase: true));

    /// <summary>The one of that name, whenever it is asked for.</summary>
    public static BatchId Derive(ReadOnlySpan<byte> name) => new(Prefix + Convert.ToHexStringLower(SHA256.HashData(name))[..Digits]);

    /// <summary>Reads one that a client sent.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out BatchId id)
    {
        var isId = text is { Length: 38 } && text.StartsWith(Prefix, StringComparison.Ordinal) && text.AsSpan(Prefix.Length).IndexOfAnyExcept(Hex) < 0;
        id = isId ? new BatchId(text!) : default;
        return isId;
    }

    /// <inheritdoc/>
    public override string ToString() => Value;
}
