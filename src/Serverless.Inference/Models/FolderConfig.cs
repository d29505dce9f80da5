using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;

namespace Serverless.Inference.Models;

/// <summary>
/// Reads a model's sizes from transformers' config.json. Each key is taken once: one that nothing has taken, and that is not known to change nothing, may change the numbers,
/// and is refused rather than passed over.
/// </summary>
internal sealed class FolderConfig
{
    /// <summary>model_type → the architecture's name in GGUF files.</summary>
    private static readonly FrozenDictionary<string, string> Kinds = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["llama"] = "llama", ["mistral"] = "llama", ["mixtral"] = "llama", ["qwen2"] = "qwen2", ["qwen3"] = "qwen3", ["qwen3_moe"] = "qwen3moe", ["smollm3"] = "smollm3", ["gemma"] = "gemma",
        ["gemma2"] = "gemma2", ["gemma3_text"] = "gemma3", ["phi3"] = "phi3", ["granite"] = "granite", ["olmo2"] = "olmo2", ["gpt2"] = "gpt2", ["starcoder2"] = "starcoder2",
    }.ToFrozenDictionary();

    /// <summary>Keys of training, of the tokenizer, and of what the tensors themselves say.</summary>
    private static readonly FrozenSet<string> Idle = FrozenSet.Create(StringComparer.Ordinal, [
        "architectures", "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "dtype", "torch_dtype", "transformers_version", "use_cache", "initializer_range", "_name_or_path",
        "attention_dropout", "hidden_dropout", "embd_pdrop", "resid_pdrop", "attn_pdrop", "residual_dropout", "embedding_dropout", "summary_activation", "summary_first_dropout", "summary_proj_to_labels",
        "summary_type", "summary_use_proj", "task_specific_params", "output_router_logits", "router_aux_loss_coef", "router_jitter_noise", "tie_word_embeddings", "attention_bias", "mlp_bias", "use_bias",
        "auto_map", "cache_implementation", "max_window_layers", "no_rope_layer_interval", "_sliding_window_pattern", "n_ctx", "reorder_and_upcast_attn", "original_max_position_embeddings", "use_mrope",
        "qkv_bias", "is_llama_config", "rope_interleaved", "transformers.js_config", "norm_type", "mlp_type", "gradient_checkpointing", "id2label", "label2id", "problem_type", "bad_words_ids",
    ]);

    /// <summary>Keys that change nothing at this value, and are refused at another.</summary>
    private static readonly FrozenDictionary<string, string> Neutral = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["pretraining_tp"] = "1", ["add_cross_attention"] = "false", ["scale_attn_by_inverse_layer_idx"] = "false", ["scale_attn_weights"] = "true", ["decoder_sparse_step"] = "1", ["mlp_only_layers"] = "[]",
        ["use_bidirectional_attention"] = "false", ["is_decoder"] = "false", ["clip_qkv"] = "null",
    }.ToFrozenDictionary();

    private readonly JsonElement _root;
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal) { "model_type" };

    private FolderConfig(JsonElement root) => _root = root;

    public static ModelConfig Read(JsonElement root)
    {
        var type = root.TryGetProperty("model_type", out var named) ? named.GetString() ?? "" : "";
        if (!Kinds.TryGetValue(type, out var name)) throw new ModelException($"model_type is '{Short(type)}'; this engine runs {string.Join(", ", Kinds.Keys.Order(StringComparer.Ordinal).Select(known => $"'{known}'"))}.");

        var kind = Architecture.All[name];
        var reader = new FolderConfig(root);
        var config = type == "gpt2" ? reader.ReadGpt2(kind) : reader.Read(kind);
        reader.RefuseUnknown(type);
        return config.Checked();
    }

    private static string Short(string text) => text.Length <= 60 ? text : text[..60] + "…";

    private ModelConfig ReadGpt2(Architecture kind)
    {
        CheckActivation(kind, "activation_function", "gelu_new");
        var (embedding, heads) = (Size("n_embd", ModelConfig.MaxSize), Size("n_head", ModelConfig.MaxHeads));
        return new ModelConfig
        {
            Kind = kind,
            Pairs = RotaryPairs.Halves,
            Layers = Size("n_layer", ModelConfig.MaxLayers),
            Embedding = embedding,
            FeedForward = Size("n_inner", ModelConfig.MaxSize, 4 * embedding),
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = embedding / heads,
            Context = Size("n_positions", ModelConfig.MaxContext),
            Vocabulary = Size("vocab_size", 1 << 20),
            Epsilon = Number("layer_norm_epsilon", 1e-5f),
        };
    }

    private ModelConfig Read(Architecture kind)
    {
        CheckActivation(kind, "hidden_activation", "hidden_act");
        CheckActivation(kind, "hidden_act", kind.Activation == Activation.Gelu ? "gelu_pytorch_tanh" : "silu");
        var (embedding, heads) = (Size("hidden_size", ModelConfig.MaxSize), Size("num_attention_heads", ModelConfig.MaxHeads));
        var headSize = Size("head_dim", 1024, embedding / heads);
        var layers = Size("num_hidden_layers", ModelConfig.MaxLayers);
        var context = Size("max_position_embeddings", ModelConfig.MaxContext);
        var experts = kind.Experts == Presence.Never ? 0 : Size("num_local_experts", ModelConfig.MaxExperts, Size("num_experts", ModelConfig.MaxExperts, 0));
        var feedForward = Size("intermediate_size", ModelConfig.MaxSize);
        if (experts > 0) feedForward = Size("moe_intermediate_size", ModelConfig.MaxSize, feedForward);
        var (rotary, windowRotary) = Rotaries(headSize, context);
        var usesWindow = !Take("use_sliding_window", out var uses) || uses.ValueKind != JsonValueKind.False;
        var window = Size("sliding_window", ModelConfig.MaxContext, 0);
        if (uses.ValueKind == JsonValueKind.True && window > 0 && !Take("layer_types", out _)) throw new ModelException("use_sliding_window is true, and layer_types does not say for which layers.");
        if (Take("sliding_window_pattern", out var every) && every.GetRawText() != kind.FullAttentionEvery.ToString(CultureInfo.InvariantCulture)) throw new ModelException($"sliding_window_pattern is {Short(every.GetRawText())}; this engine runs {kind.Name} models where it is {kind.FullAttentionEvery}.");
        var scale = kind.HasScales ? Number("attention_multiplier", 0) : Take("query_pre_attn_scalar", out var scalar) ? (float)(1 / Math.Sqrt(scalar.GetDouble())) : 0;
        return new ModelConfig
        {
            Kind = kind,
            Pairs = RotaryPairs.Halves,
            Layers = layers,
            Embedding = embedding,
            FeedForward = feedForward,
            Heads = heads,
            KeyValueHeads = Size("num_key_value_heads", heads, heads),
            HeadSize = headSize,
            Context = context,
            Vocabulary = Size("vocab_size", 1 << 20),
            Epsilon = kind.HasLayerNorm ? Number("norm_epsilon", 1e-5f) : Number("rms_norm_eps", 1e-6f),
            NormOffset = kind.HasNormsAroundOne ? 1 : 0,
            Rotary = rotary,
            WindowRotary = windowRotary,
            Window = usesWindow ? window : 0,
            WindowLayers = Layers("layer_types", layers, static item => item.ValueEquals("sliding_attention")),
            RotaryLayers = kind.UnrotatedEvery > 0 ? Layers("no_rope_layers", layers, static item => item.GetInt32() != 0) : [], // 1: it rotates
            AttentionScale = scale == 1 / MathF.Sqrt(headSize) ? 0 : scale,
            AttentionSoftcap = kind.HasSoftcaps ? Number("attn_logit_softcapping", 0) : 0,
            LogitSoftcap = kind.HasSoftcaps ? Number("final_logit_softcapping", 0) : 0,
            LogitScale = kind.HasScales ? 1 / Number("logits_scaling", 1) : 1,
            EmbeddingScale = kind.ScalesEmbeddings ? MathF.Sqrt(embedding) : kind.HasScales ? Number("embedding_multiplier", 1) : 1,
            ResidualScale = kind.HasScales ? Number("residual_multiplier", 1) : 1,
            Experts = experts,
            ExpertsUsed = experts > 0 ? Size("num_experts_per_tok", experts) : 0,
            NormalizesExperts = kind.Name != "qwen3moe" || (Take("norm_topk_prob", out var normalizes) && normalizes.ValueKind == JsonValueKind.True),
        };
    }

    /// <summary>Angles of all layers, and of those with a window where they differ.</summary>
    private (RotaryConfig All, RotaryConfig? Window) Rotaries(int headSize, int context)
    {
        var dimensions = (int)(headSize * Number("partial_rotary_factor", 1));
        var numbers = Number("rope_theta", 10000);
        if (Take("rope_parameters", out var parameters) && parameters.ValueKind == JsonValueKind.Object)
        {
            if (parameters.TryGetProperty("full_attention", out var full) && parameters.TryGetProperty("sliding_attention", out var window))
                return (Rotary(full, numbers, headSize, dimensions, context), Rotary(window, numbers, headSize, dimensions, context));
            return (Rotary(parameters, numbers, headSize, dimensions, context), null);
        }

        var plain = new RotaryConfig { Base = numbers, Dimensions = dimensions };
        var all = Take("rope_scaling", out var scaling) && scaling.ValueKind == JsonValueKind.Object ? Rotary(scaling, numbers, headSize, dimensions, context) : plain;
        return (all, Take("rope_local_base_freq", out var local) ? plain with { Base = (float)local.GetDouble() } : null);
    }

    private static RotaryConfig Rotary(JsonElement given, float theta, int headSize, int dimensions, int context)
    {
        float Of(string name, float otherwise) => given.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? (float)value.GetDouble() : otherwise;

        foreach (var field in given.EnumerateObject())
        {
            if (field.Name is not ("rope_type" or "type" or "rope_theta" or "factor" or "original_max_position_embeddings" or "low_freq_factor" or "high_freq_factor" or "beta_fast" or "beta_slow" or "attention_factor" or "partial_rotary_factor"))
                throw new ModelException($"'{Short(field.Name)}' is among the parameters of rope and not known; this engine runs models without it.");
        }

        var type = given.TryGetProperty("rope_type", out var named) || given.TryGetProperty("type", out named) ? named.GetString() : "default";
        var factor = Of("factor", 1);
        var rotary = new RotaryConfig
        {
            Base = Of("rope_theta", theta),
            Dimensions = given.TryGetProperty("partial_rotary_factor", out var partial) ? (int)(headSize * partial.GetDouble()) : dimensions,
            TrainedContext = (int)Of("original_max_position_embeddings", context),
            Factor = factor,
        };
        return type switch
        {
            "default" => rotary with { Factor = 1 },
            "linear" => rotary with { Scaling = RotaryScaling.Linear },
            "llama3" => rotary with { Scaling = RotaryScaling.Llama3, SlowTurns = Of("low_freq_factor", 1), FastTurns = Of("high_freq_factor", 4) },
            "yarn" => rotary with { Scaling = RotaryScaling.Yarn, SlowTurns = Of("beta_slow", 1), FastTurns = Of("beta_fast", 32), Magnitude = Of("attention_factor", RotaryConfig.YarnMagnitude(factor)) },
            _ => throw new ModelException($"The type of rope is '{Short(type ?? "")}'; this engine runs 'default', 'linear', 'llama3' and 'yarn'."),
        };
    }

    private void CheckActivation(Architecture kind, string key, string wanted)
    {
        if (wanted == "hidden_act")
        {
            // Gemma's newer key; the older one says something else and is not used then.
            if (Take(key, out var newer) && newer.ValueKind == JsonValueKind.String)
            {
                _taken.Add(wanted);
                if (!newer.ValueEquals("gelu_pytorch_tanh") || kind.Activation != Activation.Gelu) throw new ModelException($"{key} is {Short(newer.GetRawText())}; this engine runs {kind.Name} models with {(kind.Activation == Activation.Gelu ? "gelu_pytorch_tanh" : "silu")}.");
            }

            return;
        }

        if (_taken.Contains(key) || !Take(key, out var given)) return;
        if (!given.ValueEquals(wanted)) throw new ModelException($"{key} is {Short(given.GetRawText())}; this engine runs {kind.Name} models with {wanted}.");
    }

    private void RefuseUnknown(string type)
    {
        foreach (var field in _root.EnumerateObject())
        {
            if (_taken.Contains(field.Name) || Idle.Contains(field.Name) || field.Value.ValueKind == JsonValueKind.Null) continue;
            if (!Neutral.TryGetValue(field.Name, out var neutral)) throw new ModelException($"'{Short(field.Name)}' is not known; this engine runs {type} models without it.");
            if (field.Value.GetRawText() != neutral) throw new ModelException($"{field.Name} is {Short(field.Value.GetRawText())}; this engine runs models where it is {neutral}.");
        }
    }

    private bool[] Layers(string key, int layers, Func<JsonElement, bool> read)
    {
        if (!Take(key, out var list)) return [];
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() != layers) throw new ModelException($"{key} must be a list of {layers}, one for each layer.");
        return [.. list.EnumerateArray().Select(read)];
    }

    /// <summary>Marks a key as taken; whether it is there and not null.</summary>
    private bool Take(string key, out JsonElement value)
    {
        _taken.Add(key);
        return _root.TryGetProperty(key, out value) && value.ValueKind != JsonValueKind.Null;
    }

    private int Size(string key, int limit) => Take(key, out _) ? Size(key, limit, 0) : throw new ModelException($"'{key}' is missing.");

    private int Size(string key, int limit, int otherwise)
    {
        if (!Take(key, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var size) && size >= 1 && size <= limit ? size : throw new ModelException(string.Create(CultureInfo.InvariantCulture, $"{key} is {Short(value.GetRawText())}; 1 to {limit} is allowed."));
    }

    private float Number(string key, float otherwise)
    {
        if (!Take(key, out var value)) return otherwise;
        return value.ValueKind == JsonValueKind.Number ? (float)value.GetDouble() : throw new ModelException($"{key} is {Short(value.GetRawText())}; a number is needed.");
    }
}
