namespace Serverless.Inference.Tokenizers;

/// <summary>A tokenizer as a file describes it, whatever the file's format.</summary>
internal sealed record Vocabulary
{
    private const int MaxEntries = 1 << 20;

    /// <summary>The entries by their numbers.</summary>
    public required string[] Entries { get; init; }

    public required VocabularyKind[] Kinds { get; init; }

    /// <summary>Pairs that merge, the first the soonest; null where <see cref="Scores"/> say it.</summary>
    public IReadOnlyList<(string Left, string Right)>? Merges { get; init; }

    /// <summary>An entry's score, the highest merges the soonest.</summary>
    public float[]? Scores { get; init; }

    /// <summary>How text is split before bytes merge; null: characters merge, with ▁ for the space.</summary>
    public PreTokenizer? Splitter { get; init; }

    /// <summary>A piece that is an entry is that, whatever would merge.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>Where the space goes that ▁ stands for.</summary>
    public SpacePrefix Prefix { get; init; }

    /// <summary>No space is put in front of one that is there.</summary>
    public bool KeepsPrefix { get; init; }

    /// <summary>Control tokens that take the white space behind them with them.</summary>
    public IReadOnlySet<int> StripsAfter { get; init; } = new HashSet<int>();

    /// <summary>The tokens that end an answer, besides those whose names say it.</summary>
    public required IReadOnlyList<int> Ends { get; init; }

    public int? Begin { get; init; }

    public int? End { get; init; }

    /// <summary>Whether a prompt begins with <see cref="Begin"/>.</summary>
    public bool AddsBegin { get; init; }

    /// <summary>A file's text as a fault tells it.</summary>
    public static string Short(string text) => text.Length <= 200 ? text : text[..200] + "…";

    /// <summary>Refuses one that is too large or does not fit together.</summary>
    /// <exception cref="TokenizerException">It does not.</exception>
    public Vocabulary Checked()
    {
        if (Entries.Length is 0 or > MaxEntries) throw new TokenizerException($"The vocabulary has {Entries.Length} entries; 1 to {MaxEntries} are read.");
        if (Kinds.Length != Entries.Length) throw new TokenizerException($"There are kinds of {Kinds.Length} entries and {Entries.Length} entries; they must be as many.");
        if (Scores is not null && Scores.Length != Entries.Length) throw new TokenizerException($"There are scores of {Scores.Length} entries and {Entries.Length} entries; they must be as many.");
        if (AddsBegin && Begin is null) throw new TokenizerException("A prompt is to begin with a begin token, and none is named.");
        return this;
    }
}
