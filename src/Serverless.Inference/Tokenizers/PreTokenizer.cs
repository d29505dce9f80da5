using System.Globalization;
using System.Text;

namespace Serverless.Inference.Tokenizers;

/// <summary>
/// Splits text into the pieces inside which byte pairs merge: the <c>smollm</c> rule, which is each digit on its own and then GPT-2's pattern
/// <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>, over code points rather than UTF-16 units. Linear.
/// </summary>
internal static class PreTokenizer
{
    private enum Kind
    {
        End,
        Letter,
        Digit,
        Space,
        Other,
    }

    /// <summary>Length in UTF-16 units of the first piece of <paramref name="text"/>, which must not be empty.</summary>
    public static int Next(ReadOnlySpan<char> text)
    {
        var first = Classify(text, out var length);
        if (first == Kind.Digit) return length;
        if (text[0] == '\'' && Contraction(text) is > 0 and var contraction) return contraction;
        if (first == Kind.Space) return Spaces(text, length);
        return Run(text, length, first);
    }

    private static int Contraction(ReadOnlySpan<char> text)
    {
        foreach (var ending in (ReadOnlySpan<string>)["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"])
        {
            if (text.StartsWith(ending, StringComparison.Ordinal)) return ending.Length;
        }

        return 0;
    }

    /// <summary>A run of white space leaves its last space to the word after it; a digit, split off before, is like the end of the text.</summary>
    private static int Spaces(ReadOnlySpan<char> text, int length)
    {
        var end = length;
        var last = length;
        Kind next;
        while ((next = Classify(text[end..], out var more)) == Kind.Space) (last, end) = (more, end + more);

        if (next is Kind.End or Kind.Digit) return end;
        if (end > last) return end - last;
        return text[0] == ' ' ? Run(text, length + Length(text[length..]), next) : end;
    }

    private static int Run(ReadOnlySpan<char> text, int start, Kind kind)
    {
        var end = start;
        while (Classify(text[end..], out var more) == kind) end += more;
        return end;
    }

    private static int Length(ReadOnlySpan<char> text)
    {
        Classify(text, out var length);
        return length;
    }

    private static Kind Classify(ReadOnlySpan<char> text, out int length)
    {
        length = 0;
        if (text.IsEmpty) return Kind.End;

        var first = text[0];
        if (first < 128)
        {
            length = 1;
            return char.IsAsciiLetter(first) ? Kind.Letter : char.IsAsciiDigit(first) ? Kind.Digit : first is ' ' or (>= '\t' and <= '\r') ? Kind.Space : Kind.Other;
        }

        // A lone surrogate becomes U+FFFD, which is neither letter nor digit.
        Rune.DecodeFromUtf16(text, out var rune, out length);
        if (Rune.IsWhiteSpace(rune)) return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Digit,
            _ => Kind.Other,
        };
    }
}
