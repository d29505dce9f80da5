using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Serverless.Inference.Tokenizers;

/// <summary>
/// Splits text into the pieces inside which byte pairs merge: by a rule, or by one pattern after another, each within the pieces of those before, over code points rather than UTF-16 units.
/// Patterns are those of known families, which take linear time: a file's own would be a program of a stranger. Thread-safe.
/// </summary>
internal sealed partial class PreTokenizer
{
    private const string Contractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
    private const string Ending = @"\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Upper = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    private const string Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    private const string Before = @"[^\r\n\p{L}\p{N}]?";

    private readonly PieceRule? _rule;
    private readonly Regex[] _stages = [];

    private PreTokenizer(params Regex[] stages) => _stages = stages;

    private PreTokenizer(PieceRule rule) => _rule = rule;

    /// <summary>A piece that was found; false ends the search.</summary>
    public delegate bool Found(ReadOnlySpan<char> piece);

    /// <summary>GPT-2's own.</summary>
    public static PreTokenizer Gpt2 { get; } = new(new PieceRule());

    /// <summary>Each digit on its own, then GPT-2's.</summary>
    public static PreTokenizer DigitsGpt2 { get; } = new(new PieceRule { MostDigits = 1, DigitsApart = true });

    public static PreTokenizer Llama3 { get; } = new(new PieceRule { IsModern = true, MostDigits = 3 });

    public static PreTokenizer Qwen2 { get; } = new(new PieceRule { IsModern = true, MostDigits = 1 });

    public static PreTokenizer Gpt4o { get; } = new(Gpt4oPattern());

    public static PreTokenizer Tekken { get; } = new(TekkenPattern());

    public static PreTokenizer DeepSeek3 { get; } = new(ThreeDigitsPattern(), HanKanaPattern(), DeepSeek3Pattern());

    public static PreTokenizer DeepSeekCoder { get; } = new(LineEndPattern(), SpaceLettersPattern(), SpacePunctuationPattern(), HanHangulPattern(), DigitPattern());

    /// <summary>By the names of <c>tokenizer.ggml.pre</c>.</summary>
    public static FrozenDictionary<string, PreTokenizer> ByName { get; } = new Dictionary<string, PreTokenizer>(StringComparer.Ordinal)
    {
        ["gpt-2"] = Gpt2, ["gpt2"] = Gpt2, ["phi-2"] = Gpt2, ["mpt"] = Gpt2, ["olmo"] = Gpt2, ["jais"] = Gpt2, ["roberta-bpe"] = Gpt2, ["exaone4"] = Gpt2, ["granite-docling"] = Gpt2,
        ["smollm"] = DigitsGpt2, ["starcoder"] = DigitsGpt2, ["refact"] = DigitsGpt2, ["command-r"] = DigitsGpt2, ["codeshell"] = DigitsGpt2, ["exaone"] = DigitsGpt2,
        ["llama3"] = Llama3, ["llama-v3"] = Llama3, ["llama-bpe"] = Llama3, ["falcon3"] = Llama3, ["falcon-h1"] = Llama3, ["dbrx"] = Llama3, ["smaug-bpe"] = Llama3, ["chatglm-bpe"] = Llama3, ["lfm2"] = Llama3,
        ["qwen2"] = Qwen2, ["stablelm2"] = Qwen2, ["deepseek-r1-qwen"] = Qwen2, ["hunyuan"] = Qwen2, ["megrez"] = Qwen2,
        ["gpt-4o"] = Gpt4o, ["llama4"] = Gpt4o, ["tekken"] = Tekken, ["deepseek-v3"] = DeepSeek3, ["hunyuan-dense"] = DeepSeek3, ["deepseek-coder"] = DeepSeekCoder,
    }.ToFrozenDictionary();

    /// <summary>The rule of a tokenizer.json's list of patterns; null where it is not known.</summary>
    public static PreTokenizer? ByPatterns(IReadOnlyList<string> patterns)
    {
        foreach (var (known, rule) in Written)
        {
            if (known.SequenceEqual(patterns, StringComparer.Ordinal)) return rule;
        }

        return null;
    }

    /// <summary>Calls for each piece, until one says no.</summary>
    public bool Split(ReadOnlySpan<char> text, Found found)
    {
        if (_rule is not null)
        {
            for (int length; !text.IsEmpty; text = text[length..])
            {
                length = _rule.Next(text);
                if (!found(text[..length])) return false;
            }

            return true;
        }

        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0) return Split(text, text, 0, found);

        // The patterns see one unit for each code point: of those beyond the basic plane one of the same category.
        var units = ArrayPool<char>.Shared.Rent(text.Length);
        try
        {
            var count = 0;
            for (var rest = text; !rest.IsEmpty;)
            {
                Rune.DecodeFromUtf16(rest, out var rune, out var length);
                units[count++] = length == 1 ? rest[0] : Stand(Rune.GetUnicodeCategory(rune));
                rest = rest[length..];
            }

            return Split(text, units.AsSpan(0, count), 0, found);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(units);
        }
    }

    private bool Split(ReadOnlySpan<char> text, ReadOnlySpan<char> units, int stage, Found found)
    {
        if (text.IsEmpty) return true;
        if (stage == _stages.Length) return found(text);

        var end = 0;
        foreach (var match in _stages[stage].EnumerateMatches(units))
        {
            if (match.Length == 0) continue;
            if (!Part(ref text, units[end..match.Index], stage, found) || !Part(ref text, units.Slice(match.Index, match.Length), stage, found)) return false;
            end = match.Index + match.Length;
        }

        return Part(ref text, units[end..], stage, found);
    }

    /// <summary>The beginning of a text, as long as so many units, through the stages that follow.</summary>
    private bool Part(ref ReadOnlySpan<char> text, ReadOnlySpan<char> units, int stage, Found found)
    {
        var length = units.Length;
        for (var i = 0; i < length; i++)
        {
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1])) (i, length) = (i + 1, length + 1);
        }

        var part = text[..length];
        text = text[length..];
        return Split(part, units, stage + 1, found);
    }

    private static char Stand(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u00C0',
        UnicodeCategory.LowercaseLetter => '\u00E0',
        UnicodeCategory.TitlecaseLetter => '\u01C5',
        UnicodeCategory.ModifierLetter => '\u02B0',
        UnicodeCategory.OtherLetter => '\u05D0',
        UnicodeCategory.NonSpacingMark => '\u0300',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u0488',
        UnicodeCategory.DecimalDigitNumber => '\u0660',
        UnicodeCategory.LetterNumber => '\u2160',
        UnicodeCategory.OtherNumber => '\u00B2',
        UnicodeCategory.ConnectorPunctuation => '\u203F',
        UnicodeCategory.DashPunctuation => '\u2014',
        UnicodeCategory.OpenPunctuation or UnicodeCategory.ClosePunctuation or UnicodeCategory.InitialQuotePunctuation or UnicodeCategory.FinalQuotePunctuation or UnicodeCategory.OtherPunctuation => '\u00A1',
        UnicodeCategory.MathSymbol => '\u00B1',
        UnicodeCategory.CurrencySymbol => '\u00A2',
        UnicodeCategory.ModifierSymbol => '\u00B4',
        UnicodeCategory.OtherSymbol => '\u00A6',
        UnicodeCategory.Format => '\u00AD',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\u0378',
    };

    [GeneratedRegex(@"\p{N}", RegexOptions.CultureInvariant)]
    private static partial Regex DigitPattern();

    [GeneratedRegex(Before + Upper + "*" + Lower + "+" + Contractions + "?|" + Before + Upper + "+" + Lower + "*" + Contractions + @"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + Ending, RegexOptions.CultureInvariant)]
    private static partial Regex Gpt4oPattern();

    [GeneratedRegex(Before + Upper + "*" + Lower + "+|" + Before + Upper + "+" + Lower + @"*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + Ending, RegexOptions.CultureInvariant)]
    private static partial Regex TekkenPattern();

    [GeneratedRegex(@"\p{N}{1,3}", RegexOptions.CultureInvariant)]
    private static partial Regex ThreeDigitsPattern();

    [GeneratedRegex("[一-龥぀-ゟ゠-ヿ]+", RegexOptions.CultureInvariant)]
    private static partial Regex HanKanaPattern();

    [GeneratedRegex(@"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|" + Ending, RegexOptions.CultureInvariant)]
    private static partial Regex DeepSeek3Pattern();

    [GeneratedRegex(@"[\r\n]", RegexOptions.CultureInvariant)]
    private static partial Regex LineEndPattern();

    [GeneratedRegex(@"\s?\p{L}+", RegexOptions.CultureInvariant)]
    private static partial Regex SpaceLettersPattern();

    [GeneratedRegex(@"\s?\p{P}+", RegexOptions.CultureInvariant)]
    private static partial Regex SpacePunctuationPattern();

    [GeneratedRegex("[一-龥ࠀ-一가-퟿]+", RegexOptions.CultureInvariant)]
    private static partial Regex HanHangulPattern();
}
