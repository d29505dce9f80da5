using System.Text.Json;
using static Serverless.Inference.Tokenizers.TokenizerJson;

namespace Serverless.Inference.Tokenizers;

/// <summary>How a tokenizer.json splits text and what it does with spaces: by patterns where bytes merge, and by ▁ where characters do.</summary>
internal sealed class TokenizerJsonSplitter
{
    private const string Space = "\u2581";

    private readonly List<string> _patterns = [];
    private bool _isByteLevel;
    private bool _hasSpaces;

    /// <exception cref="TokenizerException">It splits or changes text in a way that is not known.</exception>
    public TokenizerJsonSplitter(JsonElement root)
    {
        foreach (var step in Steps(Find(root, "normalizer"), "normalizers")) Normalize(step);
        foreach (var step in Steps(Find(root, "pre_tokenizer"), "pretokenizers")) Split(step);
        if (!_isByteLevel)
        {
            if (!_hasSpaces || _patterns.Count > 0) throw new TokenizerException("tokenizer.json merges neither bytes (ByteLevel) nor characters with ▁ for the space; no other kind is known.");
            return;
        }

        (Prefix, KeepsPrefix) = (SpacePrefix.Never, false);
        Splitter = PreTokenizer.ByPatterns(_patterns)
            ?? throw new TokenizerException($"tokenizer.json splits by {Vocabulary.Short(string.Join(" and ", _patterns.Select(pattern => $"'{pattern}'")))}, which is the pattern of no known family.");
    }

    /// <summary>How text is split before bytes merge; null where characters do.</summary>
    public PreTokenizer? Splitter { get; }

    public SpacePrefix Prefix { get; private set; }

    public bool KeepsPrefix { get; private set; }

    private void Normalize(JsonElement step)
    {
        switch (TypeOf(step))
        {
            case "NFC": // text mostly comes so, and llama.cpp does without
                break;
            case "Prepend" when Find(step, "prepend") is { ValueKind: JsonValueKind.String } text && text.ValueEquals(Space):
                Prefix = SpacePrefix.Each;
                break;
            case "Replace" when Find(step, "content") is { ValueKind: JsonValueKind.String } content && content.ValueEquals(Space) && Text(Find(step, "pattern"), "String") == " ":
                _hasSpaces = true;
                break;
            case var type:
                throw new TokenizerException($"A normalizer of tokenizer.json is '{Vocabulary.Short(type)}'; known are 'NFC', and 'Prepend' and 'Replace' of spaces by ▁.");
        }
    }

    private void Split(JsonElement step)
    {
        switch (TypeOf(step))
        {
            case "ByteLevel" when Find(step, "add_prefix_space") is not { ValueKind: JsonValueKind.True }:
                _isByteLevel = true;
                if (Find(step, "use_regex") is not { ValueKind: JsonValueKind.False }) _patterns.Add(PreTokenizer.Gpt2Name);
                break;
            case "Digits" when Find(step, "individual_digits") is { ValueKind: JsonValueKind.True }:
                _patterns.Add(PreTokenizer.DigitName);
                break;
            case "Split" when IsIsolated(step) && Text(Find(step, "pattern"), "Regex") is { } regex:
                _patterns.Add(regex);
                break;
            case "Split" when _hasSpaces && Text(Find(step, "pattern"), "String") == " ": // of Gemma: by spaces, of which none is left
                break;
            case "Metaspace" when Find(step, "split") is { ValueKind: JsonValueKind.False }:
                (_hasSpaces, KeepsPrefix) = (true, true);
                Prefix = Text(step, "prepend_scheme") switch { "always" => SpacePrefix.Each, "first" => SpacePrefix.First, _ => SpacePrefix.Never };
                break;
            case var type:
                throw new TokenizerException($"A pre_tokenizer of tokenizer.json is '{Vocabulary.Short(type)}', or has settings that are not known; known are 'ByteLevel' without a space in front, 'Digits', 'Split' by the patterns of known families, and 'Metaspace' that does not split.");
        }
    }

    /// <summary>Each match a piece: said so, or that what does not match is taken out, which is nothing.</summary>
    private static bool IsIsolated(JsonElement step) => Text(step, "behavior") == (Find(step, "invert") is { ValueKind: JsonValueKind.True } ? "Removed" : "Isolated");

    private static string? Text(JsonElement? parent, string name) => parent is { } element && Find(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
}
