using System.Globalization;
using Serverless.Inference.Gguf;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>
/// Reads a model's sizes from the metadata of a GGUF file. Each key is taken once: one that nothing has taken may change the numbers, and is refused rather than passed over.
/// </summary>
internal sealed class GgufConfig
{
    internal const string RotaryFactorsTensor = "rope_freqs.weight";

    /// <summary>Keys that say nothing which the numbers depend on, or nothing that the tensors' shapes do not say.</summary>
    private static readonly string[] Idle = ["vocab_size", "tensor_data_layout", "rope.scaling.finetuned", "expert_group_count", "expert_shared_feed_forward_length", "use_parallel_residual"];

    private readonly GgufFile _file;
    private readonly Func<string, GgufTensor?> _find;
    private readonly string _prefix;
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);

    private GgufConfig(GgufFile file, Func<string, GgufTensor?> find, string architecture) => (_file, _find, _prefix) = (file, find, architecture + ".");

    /// <summary>Reads and checks the sizes.</summary>
    /// <param name="file">The file with the metadata.</param>
    /// <param name="find">The tensors of all parts.</param>
    public static ModelConfig Read(GgufFile file, Func<string, GgufTensor?> find)
    {
        ArgumentNullException.ThrowIfNull(file);
        var kind = Architecture.Of(file.Get<string>("general.architecture"), "general.architecture");
        var reader = new GgufConfig(file, find, kind.Name);
        var config = reader.Read(kind);
        reader.RefuseUnknown();
        return config.Checked();
    }

    private ModelConfig Read(Architecture kind)
    {
        var layers = Size("block_count", ModelConfig.MaxLayers);
        var embedding = Size("embedding_length", ModelConfig.MaxSize);
        var heads = Size("attention.head_count", ModelConfig.MaxHeads);
        var headSize = Size("attention.key_length", 1024, embedding / heads);
        if (Size("attention.value_length", 1024, headSize) is var valueSize && valueSize != headSize)
            throw new ModelException($"{_prefix}attention.value_length is {valueSize} and a key has {headSize} numbers; this engine runs models where they are as long.");

        var experts = kind.Experts == Presence.Never ? 0 : (int)Number("expert_count", 0);
        if (kind.Experts == Presence.Must && experts == 0) throw new ModelException($"{_prefix}expert_count is 0; a model of the architecture '{kind.Name}' has experts.");
        var feedForward = Size("feed_forward_length", ModelConfig.MaxSize, 0);
        if (experts > 0) feedForward = Size("expert_feed_forward_length", ModelConfig.MaxSize, feedForward);
        var context = Size("context_length", ModelConfig.MaxContext);
        var rotary = kind.HasLearnedPositions ? null : Rotary(headSize, context);
        return new ModelConfig
        {
            Kind = kind,
            Pairs = kind.GgufPairs,
            Layers = layers,
            Embedding = embedding,
            FeedForward = feedForward,
            Heads = heads,
            KeyValueHeads = Size("attention.head_count_kv", heads, heads),
            HeadSize = headSize,
            Context = context,
            Vocabulary = (_find("token_embd.weight") ?? _file.Tensor("token_embd.weight")).Rows,
            Epsilon = Needed(kind.HasLayerNorm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
            Rotary = rotary,
            WindowRotary = rotary is not null && kind.FullAttentionEvery > 0 && kind.QueryKeyNorm == HeadNorm.Head
                ? new RotaryConfig { Base = Number("rope.freq_base_swa", 10000), Dimensions = rotary.Dimensions }
                : null,
            Window = (int)Number("attention.sliding_window", 0),
            WindowLayers = WindowLayers(),
            AttentionScale = kind.HasScales ? Number("attention.scale", 0) : ImpliedScale(kind, layers, embedding / heads),
            AttentionSoftcap = kind.HasSoftcaps ? Number("attn_logit_softcapping", 0) : 0,
            LogitSoftcap = kind.HasSoftcaps ? Number("final_logit_softcapping", 0) : 0,
            LogitScale = kind.HasScales ? 1 / Number("logit_scale", 1) : 1,
            EmbeddingScale = kind.ScalesEmbeddings ? MathF.Sqrt(embedding) : kind.HasScales ? Number("embedding_scale", 1) : 1,
            ResidualScale = kind.HasScales ? Number("residual_scale", 1) : 1,
            Experts = experts,
            ExpertsUsed = experts > 0 ? Size("expert_used_count", experts) : (int)Neutral("expert_used_count", 0),
        };
    }

    /// <summary>The files of the largest Gemmas do not say that their scores are scaled by another length than a head's; they are known by their layers.</summary>
    private static float ImpliedScale(Architecture kind, int layers, int share) => (kind.Name, layers) is ("gemma2", 46) or ("gemma3", 62) ? 1 / MathF.Sqrt(share) : 0;

    /// <summary>Some conversions write out which layers have a window.</summary>
    private bool[] WindowLayers()
    {
        const string Name = "attention.sliding_window_pattern";
        return Take(Name) ? [.. _file.Get<int[]>(Key(Name)).Select(flag => flag != 0)] : [];
    }

    private RotaryConfig Rotary(int headSize, int context)
    {
        var kind = Take("rope.scaling.type") ? _file.Find<string>(Key("rope.scaling.type")) : null;
        var scaling = kind switch
        {
            null or "none" => RotaryScaling.None,
            "linear" => RotaryScaling.Linear,
            "yarn" => RotaryScaling.Yarn,
            _ => throw new ModelException($"{Key("rope.scaling.type")} is '{kind}'; this engine runs 'none', 'linear' and 'yarn'."),
        };
        Neutral("rope.scaling.attn_factor", 1);
        Neutral("rope.scaling.yarn_log_multiplier", 0);
        var linear = Number("rope.scale_linear", 1);
        if (linear != 1 && scaling == RotaryScaling.None) throw new ModelException(string.Create(CultureInfo.InvariantCulture, $"{Key("rope.scale_linear")} is {linear}; this engine runs models where it is 1."));

        var factor = scaling == RotaryScaling.None ? Neutral("rope.scaling.factor", 1) : Number("rope.scaling.factor", 1);
        var dimensions = Size("rope.dimension_count", 1024, headSize);
        return new RotaryConfig
        {
            Base = Number("rope.freq_base", 10000),
            Dimensions = dimensions,
            Scaling = scaling,
            Factor = factor,
            TrainedContext = Size("rope.scaling.original_context_length", ModelConfig.MaxContext, context),
            FastTurns = Number("rope.scaling.yarn_beta_fast", 32),
            SlowTurns = Number("rope.scaling.yarn_beta_slow", 1),
            Magnitude = scaling == RotaryScaling.Yarn ? RotaryConfig.YarnMagnitude(factor) : 1,
            Factors = Factors(dimensions / 2),
        };
    }

    private float[] Factors(int pairs)
    {
        if (_find(RotaryFactorsTensor) is not { } tensor) return [];
        if (tensor.Type != WeightType.F32 || tensor.Rows != 1 || tensor.Columns != pairs)
            throw new ModelException($"Tensor '{RotaryFactorsTensor}' is {tensor.Type} {tensor.Shape}; it must be F32 {pairs}, half of what is rotated of a head.");

        var factors = new float[tensor.Columns];
        Dequantizer.Read(tensor, 0, factors);
        return factors;
    }

    private void RefuseUnknown()
    {
        foreach (var key in _file.Keys.Where(key => key.StartsWith(_prefix, StringComparison.Ordinal)))
        {
            var name = key[_prefix.Length..];
            if (!_taken.Contains(name) && !Idle.Contains(name)) throw new ModelException($"'{key}' is in the file's metadata and not known; this engine runs {_prefix[..^1]} models without it.");
        }
    }

    private string Key(string name) => _prefix + name;

    /// <summary>Marks a key as taken; whether it is there.</summary>
    private bool Take(string name)
    {
        _taken.Add(name);
        return _file.Keys.Contains(Key(name));
    }

    private int Size(string name, int limit)
    {
        Take(name);
        return _file.Size(Key(name), limit);
    }

    private int Size(string name, int limit, int otherwise) => Take(name) ? _file.Size(Key(name), limit) : otherwise;

    private float Needed(string name)
    {
        Take(name);
        return _file.Get<float>(Key(name));
    }

    private float Number(string name, float otherwise) => Take(name) ? _file.Get<float>(Key(name)) : otherwise;

    /// <summary>A key that changes nothing at this value, and is refused at another.</summary>
    private float Neutral(string name, float value)
    {
        var number = Number(name, value);
        return number == value ? value : throw new ModelException(string.Create(CultureInfo.InvariantCulture, $"{Key(name)} is {number}; this engine runs models where it is {value}."));
    }
}
