using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Serverless.Inference.Models;

/// <summary>The names that transformers gives tensors, as GGUF has them.</summary>
internal static partial class FolderNames
{
    private static readonly FrozenDictionary<string, string> Once = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["embed_tokens"] = "token_embd", ["wte"] = "token_embd", ["wpe"] = "position_embd", ["norm"] = "output_norm", ["ln_f"] = "output_norm", ["lm_head"] = "output",
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<string, string> OfLayer = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["self_attn.q_proj"] = "attn_q", ["self_attn.k_proj"] = "attn_k", ["self_attn.v_proj"] = "attn_v", ["self_attn.o_proj"] = "attn_output", ["self_attn.qkv_proj"] = "attn_qkv",
        ["self_attn.q_norm"] = "attn_q_norm", ["self_attn.k_norm"] = "attn_k_norm",
        ["mlp.gate_proj"] = "ffn_gate", ["mlp.up_proj"] = "ffn_up", ["mlp.down_proj"] = "ffn_down", ["mlp.gate_up_proj"] = "ffn_up", ["mlp.c_fc"] = "ffn_up", ["mlp.c_proj"] = "ffn_down",
        ["input_layernorm"] = "attn_norm", ["pre_feedforward_layernorm"] = "ffn_norm", ["post_feedforward_layernorm"] = "post_ffw_norm",
        ["attn.c_attn"] = "attn_qkv", ["attn.c_proj"] = "attn_output", ["ln_1"] = "attn_norm", ["ln_2"] = "ffn_norm",
        ["block_sparse_moe.gate"] = "ffn_gate_inp", ["mlp.gate"] = "ffn_gate_inp",
    }.ToFrozenDictionary();

    private static readonly FrozenDictionary<string, string> OfExpert = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["w1"] = "ffn_gate", ["w3"] = "ffn_up", ["w2"] = "ffn_down", ["gate_proj"] = "ffn_gate", ["up_proj"] = "ffn_up", ["down_proj"] = "ffn_down",
    }.ToFrozenDictionary();

    /// <summary>A tensor's name; itself where it is not known, and nobody will ask for it. Null: it holds nothing that was learned.</summary>
    public static string? Of(Architecture kind, string name)
    {
        var bare = name.StartsWith("model.", StringComparison.Ordinal) ? name["model.".Length..] : name.StartsWith("transformer.", StringComparison.Ordinal) ? name["transformer.".Length..] : name;
        if (bare.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal) || bare.EndsWith(".attn.bias", StringComparison.Ordinal) || bare.EndsWith(".attn.masked_bias", StringComparison.Ordinal)) return null;

        var dot = bare.LastIndexOf('.');
        if (dot < 0) return name;
        var (role, ending) = (bare[..dot], bare[dot..]);
        if (Once.TryGetValue(role, out var once)) return once + ending;
        if (Layer().Match(role) is not { Success: true } layer) return name;

        var prefix = $"blk.{layer.Groups[1].Value}.";
        var rest = layer.Groups[2].Value;
        if (rest == "post_attention_layernorm") return prefix + (kind.HasNormsAfter ? "post_attention_norm" : "ffn_norm") + ending;
        if (OfLayer.TryGetValue(rest, out var known)) return prefix + known + ending;
        return Expert().Match(rest) is { Success: true } expert && OfExpert.TryGetValue(expert.Groups[2].Value, out var matrix) ? $"{prefix}{matrix}.{expert.Groups[1].Value}{ending}" : name;
    }

    [GeneratedRegex(@"^(?:layers|h)\.(0|[1-9]\d{0,4})\.(.+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Layer();

    [GeneratedRegex(@"^(?:block_sparse_moe|mlp)\.experts\.(0|[1-9]\d{0,4})\.(\w+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Expert();
}
