using System.Globalization;
using Serverless.Inference.Gguf;

namespace Serverless.Inference.Models;

/// <summary>A model's sizes and numbers. Immutable.</summary>
public sealed record ModelConfig
{
    private const int LeastContext = 16;

    /// <summary>Most of each size: what a file says is bounded before anything is allocated by it.</summary>
    internal const int MaxLayers = 1024;
    internal const int MaxHeads = 1024;
    internal const int MaxSize = 1 << 20;
    internal const int MaxContext = 1 << 24;
    internal const int MaxExperts = 1024;

    /// <summary>The name of its architecture in GGUF files.</summary>
    public string Architecture => Kind.Name;

    /// <summary>Layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Length of the residual vector.</summary>
    public required int Embedding { get; init; }

    /// <summary>Length of the feed-forward vector, of an expert's where there are experts.</summary>
    public required int FeedForward { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads; each serves <see cref="Heads"/> / <see cref="KeyValueHeads"/> query heads.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Length of a head.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Longest prompt plus output in tokens.</summary>
    public required int Context { get; init; }

    /// <summary>Size of the vocabulary.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>ε of the norms.</summary>
    public required float Epsilon { get; init; }

    /// <summary>The rotary angles; null where nothing is rotated.</summary>
    public RotaryConfig? Rotary { get; init; }

    /// <summary>The rotary angles of layers with a window where they are others; else null.</summary>
    public RotaryConfig? WindowRotary { get; init; }

    /// <summary>Positions that a layer with a window attends to, the query's own among them; 0: there are no windows.</summary>
    public int Window { get; init; }

    /// <summary>Whether each layer attends to a window; empty: as the architecture has it.</summary>
    public IReadOnlyList<bool> WindowLayers { get; init; } = [];

    /// <summary>Whether each layer rotates; empty: as the architecture has it.</summary>
    public IReadOnlyList<bool> RotaryLayers { get; init; } = [];

    /// <summary>What scores of attention are multiplied by; 0: 1/√head.</summary>
    public float AttentionScale { get; init; }

    /// <summary>Bound c of scores, c·tanh(x/c); 0: none.</summary>
    public float AttentionSoftcap { get; init; }

    /// <summary>Bound of logits; 0: none.</summary>
    public float LogitSoftcap { get; init; }

    /// <summary>What logits are multiplied by.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>What embeddings are multiplied by.</summary>
    public float EmbeddingScale { get; init; } = 1;

    /// <summary>What a layer's results are multiplied by before they are added.</summary>
    public float ResidualScale { get; init; } = 1;

    /// <summary>Experts of a layer; 0: none.</summary>
    public int Experts { get; init; }

    /// <summary>Experts that a token goes through.</summary>
    public int ExpertsUsed { get; init; }

    /// <summary>Whether the weights of the experts used make one.</summary>
    public bool NormalizesExperts { get; init; } = true;

    /// <summary>Length of all keys (or values) of a token in one layer.</summary>
    public int KeyValueSize => KeyValueHeads * HeadSize;

    internal Architecture Kind { get; init; } = null!; // set by both readers; a required member cannot be internal

    internal RotaryPairs Pairs { get; init; }

    /// <summary>What transformers leaves out of its norms' weights.</summary>
    internal float NormOffset { get; init; }

    /// <summary>Length of all queries of a token.</summary>
    internal int QuerySize => Heads * HeadSize;

    /// <summary>Reads and checks the sizes of a GGUF file.</summary>
    /// <exception cref="ModelException">The architecture or a size is not run by this engine.</exception>
    /// <exception cref="GgufException">A field is missing or malformed.</exception>
    public static ModelConfig Read(GgufFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        return GgufConfig.Read(file, file.Tensors.GetValueOrDefault);
    }

    /// <summary>Positions that a layer attends to; 0: all.</summary>
    internal int WindowOf(int layer)
    {
        if (Window == 0) return 0;
        var isWindow = WindowLayers.Count > 0 ? WindowLayers[layer] : Kind.FullAttentionEvery == 0 || (layer + 1) % Kind.FullAttentionEvery != 0;
        return isWindow ? Window : 0;
    }

    /// <summary>Whether a layer rotates.</summary>
    internal bool Rotates(int layer) => Rotary is not null && (RotaryLayers.Count > 0 ? RotaryLayers[layer] : Kind.UnrotatedEvery == 0 || (layer + 1) % Kind.UnrotatedEvery != 0);

    /// <summary>Itself, if this engine runs models of such sizes.</summary>
    /// <exception cref="ModelException">It does not.</exception>
    internal ModelConfig Checked()
    {
        Within(Layers, 1, MaxLayers, "the number of layers");
        Within(Heads, 1, MaxHeads, "the number of heads");
        Within(KeyValueHeads, 1, Heads, "the number of key-value heads");
        Within(HeadSize, 8, 1024, "the length of a head");
        Within(Context, LeastContext, MaxContext, "the context length");
        Within(Vocabulary, 1, 1 << 20, "the size of the vocabulary");
        Within(Experts, 0, MaxExperts, "the number of experts");
        if (Experts > 0) Within(ExpertsUsed, 1, Experts, "the number of experts used");
        Within(Window, 0, MaxContext, "the attention window");
        Multiple(Embedding, "the length of the embeddings");
        Multiple(FeedForward, "the length of the feed-forward vector");
        Multiple(QuerySize, "the length of all heads");
        if (HeadSize % 8 != 0) throw new ModelException($"A head has {HeadSize} numbers; this engine runs multiples of 8.");
        if (Heads % KeyValueHeads != 0) throw new ModelException($"There are {Heads} heads, which {KeyValueHeads} key-value heads do not divide.");
        Within(Epsilon, 0, 1, "ε of the norms");
        foreach (var (value, name) in new[] { (AttentionScale, "the scale of attention"), (AttentionSoftcap, "the soft cap of attention"), (LogitSoftcap, "the soft cap of logits") }) Within(value, 0, 1e6f, name);
        foreach (var (value, name) in new[] { (LogitScale, "the scale of logits"), (EmbeddingScale, "the scale of embeddings"), (ResidualScale, "the scale of the residual") }) Within(value, 1e-6f, 1e6f, name);
        foreach (var rotary in new[] { Rotary, WindowRotary })
        {
            if (rotary is not null) Check(rotary);
        }

        if (WindowLayers.Count > 0 && WindowLayers.Count != Layers) throw new ModelException($"The kinds of {WindowLayers.Count} layers are given; there are {Layers}.");
        if (RotaryLayers.Count > 0 && RotaryLayers.Count != Layers) throw new ModelException($"It is given of {RotaryLayers.Count} layers whether they rotate; there are {Layers}.");
        return this;
    }

    private void Check(RotaryConfig rotary)
    {
        if (rotary.Dimensions < 2 || rotary.Dimensions % 2 != 0 || rotary.Dimensions > HeadSize) throw new ModelException($"{rotary.Dimensions} numbers of a head are rotated, of {HeadSize}; it must be an even number of them.");
        Within(rotary.Base, 1.001f, 1e12f, "the base of the rotary angles");
        Within(rotary.Factor, 1e-3f, 1e6f, "the factor of the rotary scaling");
        Within(rotary.Magnitude, 1e-3f, 1e3f, "the magnitude of the rotary scaling");
        if (rotary.Scaling is RotaryScaling.Llama3 or RotaryScaling.Yarn)
        {
            Within(rotary.TrainedContext, 1, MaxContext, "the trained context of the rotary scaling");
            Within(rotary.SlowTurns, 1e-3f, 1e6f, "the slow end of the rotary scaling's ramp");
            Within(rotary.FastTurns, rotary.SlowTurns * 1.001f, 1e6f, "the fast end of the rotary scaling's ramp");
        }

        foreach (var factor in rotary.Factors) Within(factor, 1e-3f, 1e6f, "a factor of the rotary frequencies");
        if (rotary.Factors.Count > 0 && rotary.Factors.Count != rotary.Dimensions / 2) throw new ModelException($"There are {rotary.Factors.Count} factors of rotary frequencies; there must be {rotary.Dimensions / 2}.");
    }

    private static void Within(float value, float least, float most, string name)
    {
        if (!(value >= least && value <= most)) throw new ModelException(string.Create(CultureInfo.InvariantCulture, $"The model's {name[(name.StartsWith("the ", StringComparison.Ordinal) ? 4 : 0)..]} is {value}; {least} to {most} is allowed."));
    }

    private static void Multiple(int value, string name)
    {
        Within(value, 32, MaxSize, name);
        if (value % 32 != 0) throw new ModelException($"The model's {name["the ".Length..]} is {value}; this engine runs multiples of 32.");
    }
}
