using Serverless.Inference.Gguf;

namespace Serverless.Inference.Tokenizers;

/// <summary>Reads a vocabulary from the metadata of a GGUF file.</summary>
internal static class GgufVocabulary
{
    private const string Model = "tokenizer.ggml.model";
    private const string Pre = "tokenizer.ggml.pre";

    /// <summary>Throws where it is of a kind that is not known; cheap.</summary>
    public static void Check(GgufFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        Splitter(file);
    }

    public static Vocabulary Read(GgufFile file)
    {
        Check(file);
        var splitter = Splitter(file);
        var entries = file.Get<string[]>("tokenizer.ggml.tokens");
        var types = file.Get<int[]>("tokenizer.ggml.token_type");
        if (types.Length != entries.Length) throw new TokenizerException($"tokenizer.ggml.token_type has {types.Length} entries, tokenizer.ggml.tokens {entries.Length}; they must be as many.");

        var end = Id(file, "tokenizer.ggml.eos_token_id", entries.Length);
        List<int> ends = [end];
        foreach (var key in (string[])["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"])
        {
            if (file.Keys.Contains(key)) ends.Add(Id(file, key, entries.Length));
        }

        int? begin = file.Keys.Contains("tokenizer.ggml.bos_token_id") ? Id(file, "tokenizer.ggml.bos_token_id", entries.Length) : null;
        var isSentencePiece = splitter is null;
        var addsBegin = file.Find<bool?>("tokenizer.ggml.add_bos_token") ?? isSentencePiece;
        if (addsBegin && begin is null) begin = Id(file, "tokenizer.ggml.bos_token_id", entries.Length);
        return new Vocabulary
        {
            Entries = entries,
            Kinds = [.. types.Select(type => Enum.IsDefined((VocabularyKind)type) ? (VocabularyKind)type : VocabularyKind.Normal)],
            Merges = isSentencePiece ? null : Merges(file.Get<string[]>("tokenizer.ggml.merges")),
            Scores = isSentencePiece ? file.Get<float[]>("tokenizer.ggml.scores") : null,
            Splitter = splitter,
            IgnoresMerges = file.Find<string>(Pre) is "llama3" or "llama-v3" or "llama-bpe" or "falcon3" or "falcon-h1" or "lfm2" or "tekken",
            Prefix = isSentencePiece && (file.Find<bool?>("tokenizer.ggml.add_space_prefix") ?? true) ? SpacePrefix.Each : SpacePrefix.Never,
            StripsAfter = StripsAfter(file, entries, types),
            Ends = ends,
            Begin = begin,
            End = end,
            AddsBegin = addsBegin,
        };
    }

    /// <summary>The pairs of lines "left right".</summary>
    public static (string Left, string Right)[] Merges(IReadOnlyList<string> lines)
    {
        var merges = new (string, string)[lines.Count];
        for (var rank = 0; rank < merges.Length; rank++)
        {
            var space = lines[rank].IndexOf(' ', Math.Min(1, lines[rank].Length));
            if (space < 0) throw new TokenizerException($"Merge {rank} is '{Vocabulary.Short(lines[rank])}'; it must be two tokens with a space between.");
            merges[rank] = (lines[rank][..space], lines[rank][(space + 1)..]);
        }

        return merges;
    }

    private static PreTokenizer? Splitter(GgufFile file)
    {
        var model = file.Get<string>(Model);
        if (model == "llama") return null;
        if (model != "gpt2") throw new TokenizerException($"{Model} is '{Vocabulary.Short(model)}'; known are 'gpt2' and 'llama'.");

        var pre = file.Get<string>(Pre);
        return PreTokenizer.ByName.GetValueOrDefault(pre)
            ?? throw new TokenizerException($"{Pre} is '{Vocabulary.Short(pre)}'; known are {string.Join(", ", PreTokenizer.ByName.Keys.Order(StringComparer.Ordinal).Select(name => $"'{name}'"))}.");
    }

    /// <summary>Phi-3's files do not say that its turns' tokens take the line end behind them with them; they are known by their names.</summary>
    private static HashSet<int> StripsAfter(GgufFile file, string[] entries, int[] types) => file.Find<string>("general.architecture") != "phi3"
        ? []
        : [.. Enumerable.Range(0, entries.Length).Where(id => types[id] is (int)VocabularyKind.Control or (int)VocabularyKind.UserDefined && entries[id].StartsWith("<|", StringComparison.Ordinal) && entries[id] != "<|endoftext|>")];

    private static int Id(GgufFile file, string key, int count)
    {
        var id = file.Get<long>(key);
        return id >= 0 && id < count ? (int)id : throw new TokenizerException($"{key} is {id}; the vocabulary has {count} tokens.");
    }
}
