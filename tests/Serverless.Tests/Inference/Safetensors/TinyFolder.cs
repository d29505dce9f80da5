using System.Text;
using System.Text.Json.Nodes;

namespace Serverless.Tests.Inference.Safetensors;

/// <summary>A llama of one layer and 512 tokens as transformers saves it, small enough to spoil in every place.</summary>
internal static class TinyFolder
{
    private const int Size = 32;

    /// <summary>Its config.json.</summary>
    public static JsonObject Config() => new()
    {
        ["model_type"] = "llama", ["hidden_size"] = Size, ["intermediate_size"] = 2 * Size, ["num_attention_heads"] = 4, ["num_key_value_heads"] = 2, ["num_hidden_layers"] = 1, ["max_position_embeddings"] = 64,
        ["vocab_size"] = 512, ["rms_norm_eps"] = 1e-6, ["hidden_act"] = "silu", ["eos_token_id"] = 2, ["tie_word_embeddings"] = true,
    };

    public static (string Name, int[] Shape)[] Tensors() =>
    [
        ("model.embed_tokens.weight", [512, Size]), ("model.norm.weight", [Size]), ("model.layers.0.input_layernorm.weight", [Size]), ("model.layers.0.post_attention_layernorm.weight", [Size]),
        ("model.layers.0.self_attn.q_proj.weight", [Size, Size]), ("model.layers.0.self_attn.k_proj.weight", [Size / 2, Size]), ("model.layers.0.self_attn.v_proj.weight", [Size / 2, Size]),
        ("model.layers.0.self_attn.o_proj.weight", [Size, Size]), ("model.layers.0.mlp.gate_proj.weight", [2 * Size, Size]), ("model.layers.0.mlp.up_proj.weight", [2 * Size, Size]),
        ("model.layers.0.mlp.down_proj.weight", [Size, 2 * Size]),
    ];

    /// <summary>Writes a folder with it; <paramref name="parts"/> files of weights.</summary>
    public static void Save(string folder, string type = "F32", int parts = 1)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), Config().ToJsonString());
        File.Copy(Path.Combine(Repository.Root, "tests", "data", "tokenizers", "bytes.json"), Path.Combine(folder, "tokenizer.json"), overwrite: true);
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"bos_token":"<s>","eos_token":{"content":"</s>"},"chat_template":"{{ messages[0].content }}"}""");
        var all = Tensors();
        var map = new JsonObject();
        for (var part = 0; part < parts; part++)
        {
            var name = parts == 1 ? "model.safetensors" : $"model-{part + 1:D5}-of-{parts:D5}.safetensors";
            var some = all.Where((_, i) => i % parts == part).ToArray();
            File.WriteAllBytes(Path.Combine(folder, name), Weights(some, type));
            foreach (var (tensor, _) in some) map[tensor] = name;
        }

        if (parts > 1) File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    /// <summary>A file of these tensors, each number of it by its tensor's name.</summary>
    public static byte[] Weights((string Name, int[] Shape)[] tensors, string type)
    {
        var header = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        using var data = new MemoryStream();
        foreach (var (name, shape) in tensors)
        {
            var begin = data.Length;
            var random = new Random(name.Length * 31 + name[^8]);
            for (var i = shape.Aggregate(1, (product, size) => product * size); i > 0; i--) data.Write(Number((float)(random.Next(-32, 33) / 64.0), type)); // exact in each type
            header[name] = new JsonObject { ["dtype"] = type, ["shape"] = new JsonArray([.. shape.Select(size => (JsonNode)size)]), ["data_offsets"] = new JsonArray(begin, data.Length) };
        }

        var json = Encoding.UTF8.GetBytes(header.ToJsonString());
        return [.. BitConverter.GetBytes((ulong)json.Length), .. json, .. data.ToArray()];
    }

    private static byte[] Number(float value, string type) => type switch
    {
        "F32" => BitConverter.GetBytes(value),
        "F16" => BitConverter.GetBytes((Half)value),
        _ => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(value) >> 16)),
    };
}
