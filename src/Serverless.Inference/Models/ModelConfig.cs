using System.Globalization;
using Serverless.Inference.Gguf;

namespace Serverless.Inference.Models;

/// <summary>The sizes of a model of the <c>llama</c> architecture. Immutable.</summary>
public sealed record ModelConfig
{
    private const int MaxSize = 1 << 20;
    private const int LeastContext = 16;

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

        var embedding = file.Size("llama.embedding_length", MaxSize);
        var heads = file.Size("llama.attention.head_count", 1024);
        var keyValueHeads = file.Keys.Contains("llama.attention.head_count_kv") ? file.Size("llama.attention.head_count_kv", heads) : heads;
        var headSize = file.Keys.Contains("llama.attention.key_length") ? file.Size("llama.attention.key_length", 1024) : embedding / heads;
        var ropeDimensions = file.Keys.Contains("llama.rope.dimension_count") ? file.Size("llama.rope.dimension_count", 1024) : headSize;

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
        };
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
