using System.Globalization;
using System.Text.Json;

namespace Serverless.Inference.Tokenizers;

/// <summary>Reads the tokenizer.json of transformers: BPE, of bytes or as SentencePiece has it. What would split or change text in a way that is not known is refused.</summary>
internal static class TokenizerJson
{
    private const int MaxEntries = 1 << 20;

    /// <summary>Throws where it is of a kind that is not known.</summary>
    /// <exception cref="TokenizerException">It is.</exception>
    public static bool Check(JsonElement root)
    {
        Model(root);
        _ = new TokenizerJsonSplitter(root);
        return true;
    }

    /// <summary>The tokenizer, with as many entries as the model has embeddings.</summary>
    /// <exception cref="TokenizerException">It is of a kind that is not known, or does not fit together.</exception>
    public static Tokenizer Read(JsonElement root, TokenizerSettings settings, int size)
    {
        var model = Model(root);
        var splitting = new TokenizerJsonSplitter(root);
        var (entries, kinds) = Entries(root, model, size);
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < entries.Length; id++) ids.TryAdd(entries[id], id);
        if (Find(model, "unk_token") is { ValueKind: JsonValueKind.String } unknown && ids.TryGetValue(unknown.GetString()!, out var unknownId) && splitting.Splitter is null) kinds[unknownId] = VocabularyKind.Unknown;

        var begin = settings.Begin is { } first && ids.TryGetValue(first, out var beginId) ? beginId : (int?)null;
        var end = settings.End is { } last && ids.TryGetValue(last, out var endId) ? endId : settings.Ends.Count > 0 ? settings.Ends[0] : (int?)null;
        List<int> ends = [.. settings.Ends];
        if (end is { } named) ends.Add(named);
        if (ends.Find(id => id < 0 || id >= entries.Length) is var stray && stray != 0) throw new TokenizerException($"An end token is {stray}; the vocabulary has {entries.Length} tokens.");

        var written = Written(root, ids);
        return Tokenizer.Of(new Vocabulary
        {
            Entries = entries,
            Kinds = kinds,
            Merges = Merges(model),
            Splitter = splitting.Splitter,
            IgnoresMerges = Find(model, "ignore_merges") is { ValueKind: JsonValueKind.True },
            Prefix = splitting.Prefix,
            KeepsPrefix = splitting.KeepsPrefix,
            StripsAfter = StripsAfter(root),
            Ends = ends,
            Begin = begin ?? written,
            End = end,
            AddsBegin = settings.AddsBegin is true && begin is not null ? true : written is not null && settings.AddsBegin is not false,
        });
    }

    internal static JsonElement? Find(JsonElement parent, string name) => parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    internal static string TypeOf(JsonElement element) => Find(element, "type") is { ValueKind: JsonValueKind.String } type ? type.GetString()! : "";

    private static JsonElement Model(JsonElement root)
    {
        if (Find(root, "model") is not { } model) throw new TokenizerException("tokenizer.json has no 'model'.");

        // Older files do not say the type of theirs.
        var type = TypeOf(model);
        if (type != "BPE" && !(type.Length == 0 && Find(model, "merges") is not null)) throw new TokenizerException($"The model of tokenizer.json is '{Vocabulary.Short(type)}'; known is 'BPE'.");
        foreach (var name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (Find(model, name) is { ValueKind: JsonValueKind.String } affix && affix.GetString() is { Length: > 0 } text) throw new TokenizerException($"{name} of tokenizer.json is '{Vocabulary.Short(text)}'; known is none.");
        }

        return model;
    }

    /// <summary>The steps of a sequence, or the only one.</summary>
    internal static JsonElement[] Steps(JsonElement? step, string children)
    {
        if (step is not { } only) return [];
        return TypeOf(only) == "Sequence" && Find(only, children) is { ValueKind: JsonValueKind.Array } steps ? [.. steps.EnumerateArray()] : [only];
    }

    private static (string[] Entries, VocabularyKind[] Kinds) Entries(JsonElement root, JsonElement model, int size)
    {
        if (Find(model, "vocab") is not { ValueKind: JsonValueKind.Object } vocabulary) throw new TokenizerException("The model of tokenizer.json has no 'vocab'.");

        var entries = new string[size];
        var kinds = new VocabularyKind[size];
        Array.Fill(entries, "");
        Array.Fill(kinds, VocabularyKind.Unused);
        var hasBytes = Find(model, "byte_fallback") is { ValueKind: JsonValueKind.True };
        foreach (var entry in vocabulary.EnumerateObject()) Put(entry.Name, entry.Value.GetInt32(), hasBytes && Tokenizer.IsByte(entry.Name, out _) ? VocabularyKind.Byte : VocabularyKind.Normal);
        foreach (var added in Added(root))
        {
            var kind = Find(added, "special") is { ValueKind: JsonValueKind.True } ? VocabularyKind.Control : VocabularyKind.UserDefined;
            Put(added.GetProperty("content").GetString() ?? "", added.GetProperty("id").GetInt32(), kind);
        }

        return (entries, kinds);

        void Put(string text, int id, VocabularyKind kind)
        {
            if (id < 0 || id >= size) throw new TokenizerException(string.Create(CultureInfo.InvariantCulture, $"Entry '{Vocabulary.Short(text)}' of tokenizer.json has the number {id}; the model has {size} embeddings."));
            (entries[id], kinds[id]) = (text, kind);
        }
    }

    private static JsonElement[] Added(JsonElement root) => Find(root, "added_tokens") is { ValueKind: JsonValueKind.Array } added ? [.. added.EnumerateArray()] : [];

    private static HashSet<int> StripsAfter(JsonElement root) => [.. Added(root).Where(added => Find(added, "rstrip") is { ValueKind: JsonValueKind.True }).Select(added => added.GetProperty("id").GetInt32())];

    private static (string Left, string Right)[] Merges(JsonElement model)
    {
        if (Find(model, "merges") is not { ValueKind: JsonValueKind.Array } list) throw new TokenizerException("The model of tokenizer.json has no 'merges'.");
        if (list.GetArrayLength() > 2 * MaxEntries) throw new TokenizerException($"tokenizer.json has {list.GetArrayLength()} merges; at most {2 * MaxEntries} are read.");

        // Older files have lines, newer ones pairs.
        var merges = new (string, string)[list.GetArrayLength()];
        var rank = 0;
        foreach (var merge in list.EnumerateArray())
        {
            merges[rank++] = merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2
                ? (merge[0].GetString() ?? "", merge[1].GetString() ?? "")
                : GgufVocabulary.Merges([merge.ValueKind == JsonValueKind.String ? merge.GetString()! : ""])[0];
        }

        return merges;
    }

    /// <summary>The token that the post-processor writes before a text; null where it writes none.</summary>
    private static int? Written(JsonElement root, Dictionary<string, int> ids)
    {
        foreach (var step in Steps(Find(root, "post_processor"), "processors"))
        {
            if (TypeOf(step) != "TemplateProcessing" || Find(step, "single") is not { ValueKind: JsonValueKind.Array } single || single.GetArrayLength() == 0) continue;
            if (Find(single[0], "SpecialToken") is { } token && Find(token, "id") is { ValueKind: JsonValueKind.String } name && ids.TryGetValue(name.GetString()!, out var id)) return id;
        }

        return null;
    }
}
