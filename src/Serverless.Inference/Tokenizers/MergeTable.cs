namespace Serverless.Inference.Tokenizers;

/// <summary>Which pairs of tokens merge to what, and which first.</summary>
internal static class MergeTable
{
    /// <summary>Of a list of pairs, the first the soonest.</summary>
    /// <exception cref="TokenizerException">The vocabulary lacks one of a pair or what it makes.</exception>
    public static Dictionary<long, (int Rank, int Token)> Of(IReadOnlyList<(string Left, string Right)> merges, Dictionary<string, int> ids)
    {
        var table = new Dictionary<long, (int Rank, int Token)>(merges.Count);
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var (left, right) = merges[rank];
            if (!ids.TryGetValue(left, out var leftId) || !ids.TryGetValue(right, out var rightId) || !ids.TryGetValue(left + right, out var merged))
                throw new TokenizerException($"Merge {rank} joins '{Vocabulary.Short(left)}' and '{Vocabulary.Short(right)}', but the vocabulary lacks one of them or what they make.");

            table.TryAdd(BytePairEncoder.Pair(leftId, rightId), (rank, merged));
        }

        return table;
    }

    /// <summary>Of scores, as SentencePiece has it: any two entries that make a third, that of the highest score the soonest.</summary>
    public static Dictionary<long, (int Rank, int Token)> Of(Vocabulary vocabulary, Dictionary<string, int> ids)
    {
        var scores = vocabulary.Scores!;
        int[] order = [.. Enumerable.Range(0, scores.Length).Where(id => vocabulary.Kinds[id] is VocabularyKind.Normal or VocabularyKind.UserDefined && vocabulary.Entries[id].Length > 1)
            .OrderByDescending(id => scores[id])];
        var lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        var table = new Dictionary<long, (int Rank, int Token)>();
        var rank = 0;
        for (var i = 0; i < order.Length; i++)
        {
            var id = order[i];
            if (i > 0 && scores[id] != scores[order[i - 1]]) rank = i;
            var entry = vocabulary.Entries[id].AsSpan();
            for (var split = 1; split < entry.Length && entry.Length <= MaxLength; split++)
            {
                if (char.IsLowSurrogate(entry[split])) continue;
                if (lookup.TryGetValue(entry[..split], out var left) && lookup.TryGetValue(entry[split..], out var right)) table.TryAdd(BytePairEncoder.Pair(left, right), (rank, id));
            }
        }

        return table;
    }

    /// <summary>Longer entries are not split in every place: no vocabulary has words of such length, and a file of them would take long.</summary>
    private const int MaxLength = 256;
}
