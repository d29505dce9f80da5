using System.Collections.Frozen;

namespace Serverless.Inference.Models;

/// <summary>What models of one architecture are made of; what differs between two models of it is in <see cref="ModelConfig"/>.</summary>
internal sealed record Architecture
{
    /// <summary>Its name in GGUF files, which begins its keys.</summary>
    public required string Name { get; init; }

    /// <summary>Which numbers of a head turn together in GGUF files.</summary>
    public RotaryPairs GgufPairs { get; init; } = RotaryPairs.Halves;

    /// <summary>LayerNorm, with biases, instead of RMSNorm.</summary>
    public bool HasLayerNorm { get; init; }

    /// <summary>Norms before attention and feed-forward.</summary>
    public bool HasNormsBefore { get; init; } = true;

    /// <summary>Norms of what attention and feed-forward give.</summary>
    public bool HasNormsAfter { get; init; }

    public HeadNorm QueryKeyNorm { get; init; }

    /// <summary>Biases of query, key and value.</summary>
    public Presence AttentionBias { get; init; }

    /// <summary>A bias of attention's output.</summary>
    public Presence OutputBias { get; init; }

    /// <summary>Biases of the feed-forward layers.</summary>
    public Presence FeedBias { get; init; }

    public Activation Activation { get; init; }

    /// <summary>A gate beside the feed-forward's first matrix.</summary>
    public bool IsGated { get; init; } = true;

    /// <summary>Positions are learned vectors and nothing is rotated.</summary>
    public bool HasLearnedPositions { get; init; }

    /// <summary>Embeddings are multiplied by the root of their length.</summary>
    public bool ScalesEmbeddings { get; init; }

    /// <summary>Its files may name scales of attention, embeddings, residuals and logits.</summary>
    public bool HasScales { get; init; }

    /// <summary>Its files may name soft caps of scores and logits.</summary>
    public bool HasSoftcaps { get; init; }

    /// <summary>Feed-forward layers may be, or are, a choice of experts.</summary>
    public Presence Experts { get; init; }

    /// <summary>transformers keeps w − 1 of its norms' weights w.</summary>
    public bool HasNormsAroundOne { get; init; }

    /// <summary>Of each so many layers the last attends to all positions, the others to a window; 0: all layers are alike.</summary>
    public int FullAttentionEvery { get; init; }

    /// <summary>Of each so many layers the last does not rotate; 0: all do.</summary>
    public int UnrotatedEvery { get; init; }

    /// <summary>The architectures that run, by their names in GGUF files.</summary>
    public static FrozenDictionary<string, Architecture> All { get; } = ((Architecture[])
    [
        new() { Name = "llama", GgufPairs = RotaryPairs.Neighbours, AttentionBias = Presence.May, OutputBias = Presence.May, FeedBias = Presence.May, Experts = Presence.May },
        new() { Name = "qwen2", AttentionBias = Presence.Must },
        new() { Name = "qwen3", QueryKeyNorm = HeadNorm.Head, AttentionBias = Presence.May },
        new() { Name = "qwen3moe", QueryKeyNorm = HeadNorm.Head, AttentionBias = Presence.May, Experts = Presence.Must },
        new() { Name = "smollm3", GgufPairs = RotaryPairs.Neighbours, UnrotatedEvery = 4 },
        new() { Name = "gemma", Activation = Activation.Gelu, ScalesEmbeddings = true, HasNormsAroundOne = true },
        new() { Name = "gemma2", HasSoftcaps = true, Activation = Activation.Gelu, ScalesEmbeddings = true, HasNormsAroundOne = true, HasNormsAfter = true, FullAttentionEvery = 2 },
        new() { Name = "gemma3", HasSoftcaps = true, Activation = Activation.Gelu, ScalesEmbeddings = true, HasNormsAroundOne = true, HasNormsAfter = true, QueryKeyNorm = HeadNorm.Head, FullAttentionEvery = 6 },
        new() { Name = "phi3" },
        new() { Name = "granite", HasScales = true, GgufPairs = RotaryPairs.Neighbours, AttentionBias = Presence.May, OutputBias = Presence.May, FeedBias = Presence.May },
        new() { Name = "olmo2", HasNormsBefore = false, HasNormsAfter = true, QueryKeyNorm = HeadNorm.Whole },
        new() { Name = "gpt2", HasLayerNorm = true, AttentionBias = Presence.Must, OutputBias = Presence.Must, FeedBias = Presence.Must, Activation = Activation.Gelu, IsGated = false, HasLearnedPositions = true },
        new() { Name = "starcoder2", HasLayerNorm = true, AttentionBias = Presence.May, OutputBias = Presence.May, FeedBias = Presence.May, Activation = Activation.Gelu, IsGated = false },
    ]).ToFrozenDictionary(architecture => architecture.Name, StringComparer.Ordinal);

    /// <summary>The architecture of that name.</summary>
    /// <exception cref="ModelException">This engine does not run it.</exception>
    public static Architecture Of(string name, string field) => All.GetValueOrDefault(name)
        ?? throw new ModelException($"{field} is '{name}'; this engine runs {string.Join(", ", All.Keys.Order(StringComparer.Ordinal).Select(known => $"'{known}'"))}.");
}
