using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Serverless.Files;

/// <summary>Names one file: <c>file-</c> and 32 hex digits, or what its maker derived.</summary>
public readonly record struct FileId
{
    private const string Prefix = "file-";
    private const int Longest = 64;

    private FileId(string value) => Value = value;

    /// <summary>As clients have it.</summary>
    public string Value { get; }

    /// <summary>A fresh one.</summary>
    public static FileId New() => new(Prefix + RandomNumberGenerator.GetHexString(32, lowercase: true));

    /// <summary>The id of the file that <paramref name="name"/> stands for, always the same one: whoever makes it again makes the same file.</summary>
    public static FileId Derive(ReadOnlySpan<byte> name) => new(Prefix + Convert.ToHexStringLower(SHA256.HashData(name))[..32]);

    /// <summary>Reads one that a client sent.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out FileId id)
    {
        var isId = text is { Length: > 5 and <= Longest } && text.StartsWith(Prefix, StringComparison.Ordinal) && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_');
        id = isId ? new FileId(text!) : default;
        return isId;
    }

    /// <inheritdoc/>
    public override string ToString() => Value;
}
