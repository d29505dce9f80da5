using System.Security.Cryptography;

namespace Serverless.Requests;

/// <summary>Names one request from edge to engine and in the log: <c>chatcmpl-</c> or <c>cmpl-</c> and 24 random characters.</summary>
/// <param name="Value">Not empty.</param>
public readonly record struct RequestId(string Value)
{
    private const string Alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// <summary>A fresh id.</summary>
    /// <param name="prefix">What its API's ids begin with.</param>
    public static RequestId New(string prefix) => new(prefix + RandomNumberGenerator.GetString(Alphabet, 24));

    /// <summary>The id of the request that <paramref name="name"/> stands for, always the same one: whoever asks again asks for the same request.</summary>
    public static RequestId Derive(string prefix, ReadOnlySpan<byte> name)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(name, hash);
        var characters = new char[24];
        for (var i = 0; i < characters.Length; i++) characters[i] = Alphabet[hash[i] % Alphabet.Length];
        return new(prefix + new string(characters));
    }

    /// <inheritdoc/>
    public override string ToString() => Value;
}
