using System.Collections.Frozen;
using System.Globalization;
using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>The sizes of a model of the <c>llama</c> architecture. Immutable.</summary>
public sealed record ModelConfig
{
    internal const string RopeFactorsTensor = "rope_freqs.weight";

    private const int MaxSize = 1 << 20;
    private const int LeastContext = 16;

    /// <summary>Keys that say nothing which the numbers depend on, or nothing that the tensors' shapes do not say.</summary>
    private static readonly FrozenSet<string> Known = FrozenSet.Create(StringComparer.Ordinal, [
        "block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "tensor_data_layout", "attention.head_count", "attention.head_count_kv",
        "attention.key_length", "attention.value_length", "attention.layer_norm_rms_epsilon", "rope.dimension_count", "rope.freq_base", "rope.scaling.type",
        "rope.scaling.original_context_length", "rope.scaling.finetuned",
    ]);

    /// <summary>Keys that change nothing at this value, and are refused at another.</summary>
    private static readonly FrozenDictionary<string, double> Neutral = new Dictionary<string, double>(StringComparer.Ordinal)
    {
        ["rope.scaling.factor"] = 1,
        ["rope.scaling.attn_factor"] = 1,
        ["rope.scale_linear"] = 1,
        ["expert_count"] = 0,
        ["expert_used_count"] = 0,
        ["attention.sliding_window"] = 0,
    }.ToFrozenDictionary();

    /// <summary>Layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Length of the residual vector.</summary>
    public required int Embedding { get; init; }

    /// <summary>Length of the feed-forward vector.</summary>
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

    /// <summary>ε of RMSNorm.</summary>
    public required float Epsilon { get; init; }

    /// <summary>Base of the rotary angles.</summary>
    public required float RopeBase { get; init; }

    /// <summary>What each rotary frequency is divided by (Llama 3.1's <c>rope_freqs.weight</c>); empty for 1.</summary>
    public IReadOnlyList<float> RopeFactors { get; init; } = [];

    /// <summary>Length of all keys (or values) of a token in one layer.</summary>
    public int KeyValueSize => KeyValueHeads * HeadSize;

    /// <summary>Reads and checks the sizes.</summary>
    /// <exception cref="ModelException">The architecture or a size is not run by this engine.</exception>
    /// <exception cref="GgufException">A field is missing or malformed.</exception>
    public static ModelConfig Read(GgufFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var architecture = file.Get<string>("general.architecture");
        if (architecture != "llama") throw new ModelException($"general.architecture is '{architecture}'; this engine runs 'llama'.");

        var scaling = file.Find<string>("llama.rope.scaling.type");
        if (scaling is not (null or "none")) throw new ModelException($"llama.rope.scaling.type is '{scaling}'; this engine runs models without rope scaling.");

        RefuseUnknown(file);
        var embedding = file.Size("llama.embedding_length", MaxSize);
        var heads = file.Size("llama.attention.head_count", 1024);
        var keyValueHeads = file.Keys.Contains("llama.attention.head_count_kv") ? file.Size("llama.attention.head_count_kv", heads) : heads;
        var headSize = file.Keys.Contains("llama.attention.key_length") ? file.Size("llama.attention.key_length", 1024) : embedding / heads;
        var ropeDimensions = file.Keys.Contains("llama.rope.dimension_count") ? file.Size("llama.rope.dimension_count", 1024) : headSize;

        if (file.Keys.Contains("llama.attention.value_length") && file.Size("llama.attention.value_length", 1024) is var valueSize && valueSize != headSize)
            throw new ModelException($"llama.attention.value_length is {valueSize} and a key has {headSize} numbers; this engine runs models where they are as long.");
        if (heads % keyValueHeads != 0) throw new ModelException($"llama.attention.head_count is {heads}, which {keyValueHeads} key-value heads do not divide.");
        if (headSize == 0 || headSize % 8 != 0 || ropeDimensions != headSize) throw new ModelException($"A head has {headSize} numbers, {ropeDimensions} of them rotated; this engine runs heads of a multiple of 8 that are rotated whole.");

        return new ModelConfig
        {
            Layers = file.Size("llama.block_count", 1024),
            Embedding = Multiple(embedding, "llama.embedding_length"),
            FeedForward = Multiple(file.Size("llama.feed_forward_length", MaxSize), "llama.feed_forward_length"),
            Heads = heads,
            KeyValueHeads = keyValueHeads,
            HeadSize = headSize,
            Context = ContextOf(file),
            Vocabulary = file.Tensor("token_embd.weight").Rows,
            Epsilon = Between(file.Get<float>("llama.attention.layer_norm_rms_epsilon"), 0, 1, "llama.attention.layer_norm_rms_epsilon"),
            RopeBase = Between(file.Find<float?>("llama.rope.freq_base") ?? 10000, 1, 1e12f, "llama.rope.freq_base"),
            RopeFactors = ReadRopeFactors(file, headSize / 2),
        };
    }

    /// <summary>A key of the architecture that is not known may change the numbers: it is refused rather than passed over.</summary>
    private static void RefuseUnknown(GgufFile file)
    {
        foreach (var key in file.Keys.Where(key => key.StartsWith("llama.", StringComparison.Ordinal)))
        {
            var name = key["llama.".Length..];
            if (Known.Contains(name)) continue;
            if (!Neutral.TryGetValue(name, out var neutral)) throw new ModelException($"'{key}' is in the file's metadata and not known; this engine runs llama models without it.");

            var value = file.Get<double>(key);
            if (value != neutral) throw new ModelException(string.Create(CultureInfo.InvariantCulture, $"{key} is {value}; this engine runs models where it is {neutral}."));
        }
    }

    private static float[] ReadRopeFactors(GgufFile file, int pairs)
    {
        if (!file.Tensors.TryGetValue(RopeFactorsTensor, out var tensor)) return [];
        if (tensor.Type != GgufTensorType.F32 || tensor.Rows != 1 || tensor.Columns != pairs)
            throw new ModelException($"Tensor '{RopeFactorsTensor}' is {tensor.Type} {string.Join(" × ", tensor.Dimensions)}; it must be F32 {pairs}, half a head.");

        var factors = new float[pairs];
        Dequantizer.Read(tensor, 0, factors);
        for (var i = 0; i < pairs; i++) Between(factors[i], 1e-3f, 1e6f, $"{RopeFactorsTensor}[{i}]");
        return factors;
    }

    private static int ContextOf(GgufFile file)
    {
        var context = file.Size("llama.context_length", 1 << 24);
        return context >= LeastContext ? context : throw new ModelException($"llama.context_length is {context}; at least {LeastContext} are needed.");
    }

    private static float Between(float value, float least, float most, string field) => value >= least && value <= most
        ? value
        : throw new ModelException(string.Create(CultureInfo.InvariantCulture, $"{field} is {value}; {least} to {most} is allowed."));

    private static int Multiple(int value, string field) =>
        value % GgufTensor.BlockSize == 0 ? value : throw new ModelException($"{field} is {value}; this engine runs multiples of {GgufTensor.BlockSize}.");
}
