using System.Text;

namespace Serverless.Tests.Inference.Gguf;

/// <summary>A llama of one layer and 260 tokens, written as a GGUF file of some hundred kilobytes: small enough to spoil in every place.</summary>
internal sealed class TinyModel : IDisposable
{
    private const int Size = 64;
    private const int Vocabulary = 260;

    private readonly MemoryStream _bytes = new();
    private readonly BinaryWriter _writer;
    private readonly List<(string Name, int Offset)> _fields = [];

    private TinyModel() => _writer = new BinaryWriter(_bytes);

    /// <summary>The file, and where each field of its header begins.</summary>
    /// <param name="metadata">Keys that are added, or replace what is there; null leaves a key out.</param>
    /// <param name="tensors">Tensors that are added.</param>
    /// <param name="version">The format's version.</param>
    /// <param name="part">Which tensors are written; null for all.</param>
    public static (byte[] File, IReadOnlyList<(string Name, int Offset)> Fields, int HeaderLength) Build(
        IReadOnlyDictionary<string, object?>? metadata = null, IReadOnlyDictionary<string, int[]>? tensors = null, uint version = 3, Func<string, bool>? part = null)
    {
        using var model = new TinyModel();
        var header = model.Write(metadata ?? new Dictionary<string, object?>(), tensors ?? new Dictionary<string, int[]>(), version, part ?? (_ => true));
        return (model._bytes.ToArray(), model._fields, header);
    }

    public void Dispose() => _writer.Dispose();

    private int Write(IReadOnlyDictionary<string, object?> changed, IReadOnlyDictionary<string, int[]> added, uint version, Func<string, bool> part)
    {
        (string Name, int[] Dimensions)[] tensors =
        [
            ("token_embd.weight", [Size, Vocabulary]), ("output_norm.weight", [Size]),
            ("blk.0.attn_norm.weight", [Size]), ("blk.0.attn_q.weight", [Size, Size]), ("blk.0.attn_k.weight", [Size, Size / 2]), ("blk.0.attn_v.weight", [Size, Size / 2]),
            ("blk.0.attn_output.weight", [Size, Size]), ("blk.0.ffn_norm.weight", [Size]), ("blk.0.ffn_gate.weight", [Size, Size]), ("blk.0.ffn_up.weight", [Size, Size]),
            ("blk.0.ffn_down.weight", [Size, Size]), .. added.Select(tensor => (tensor.Key, tensor.Value)),
        ];
        tensors = [.. tensors.Where(tensor => part(tensor.Name))];
        List<(string Key, object Value)> metadata = [.. Metadata().Where(entry => !changed.ContainsKey(entry.Key)), .. changed.Where(entry => entry.Value is not null).Select(entry => (entry.Key, entry.Value!))];
        Field("magic", () => _writer.Write(0x46554747u));
        Field("version", () => _writer.Write(version));
        Field("tensor count", () => _writer.Write((ulong)tensors.Length));
        Field("metadata count", () => _writer.Write((ulong)metadata.Count));
        foreach (var (key, value) in metadata) Entry(key, value);

        ulong offset = 0;
        foreach (var (name, dimensions) in tensors)
        {
            Text($"name of {name}", name);
            Field($"dimension count of {name}", () => _writer.Write((uint)dimensions.Length));
            foreach (var dimension in dimensions) Field($"dimension of {name}", () => _writer.Write((ulong)dimension));
            Field($"type of {name}", () => _writer.Write(0u));
            Field($"offset of {name}", () => _writer.Write(offset));
            offset += (ulong)(dimensions.Aggregate(1, (product, size) => product * size) * sizeof(float));
        }

        var header = (int)_bytes.Position;
        while (_bytes.Position % 32 != 0) _writer.Write((byte)0);
        foreach (var (name, dimensions) in tensors)
        {
            var random = new Random(name.Length + (31 * name[^8])); // by its name, so that it is the same in any part
            var least = name == "rope_freqs.weight" ? 1.5 : -0.5; // a frequency's factor is positive
            for (var i = dimensions.Aggregate(1, (product, size) => product * size); i > 0; i--) _writer.Write((float)(random.NextDouble() + least));
        }

        return header;
    }

    public static string[] Tokens()
    {
        var alphabet = Enumerable.Range(33, 94).Concat(Enumerable.Range(161, 12)).Concat(Enumerable.Range(174, 82)).Concat(Enumerable.Range(256, 68)).Select(code => ((char)code).ToString());
        return [.. alphabet, "<|end|>", "th", "he", "in"];
    }

    private static List<(string Key, object Value)> Metadata()
    {
        var tokens = Tokens();
        var types = new int[tokens.Length];
        Array.Fill(types, 1);
        types[256] = 3;
        return
        [
            ("general.architecture", "llama"), ("general.alignment", 32u), ("llama.block_count", 1u), ("llama.embedding_length", (uint)Size), ("llama.feed_forward_length", (uint)Size),
            ("llama.attention.head_count", 2u), ("llama.attention.head_count_kv", 1u), ("llama.rope.dimension_count", 32u), ("llama.context_length", 128u),
            ("llama.attention.layer_norm_rms_epsilon", 1e-5f), ("llama.rope.freq_base", 10000f), ("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.pre", "smollm"),
            ("tokenizer.ggml.tokens", tokens), ("tokenizer.ggml.token_type", types), ("tokenizer.ggml.merges", new[] { "t h", "h e", "i n" }),
            ("tokenizer.ggml.bos_token_id", 256u), ("tokenizer.ggml.eos_token_id", 256u), ("tokenizer.ggml.add_bos_token", false), ("tokenizer.chat_template", "{{ messages[0].content }}"),
        ];
    }

    private void Field(string name, Action write)
    {
        _fields.Add((name, (int)_bytes.Position));
        write();
    }

    private void Text(string field, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Field($"{field} length", () => _writer.Write((ulong)bytes.Length));
        Field(field, () => _writer.Write(bytes));
    }

    private void Entry(string key, object value)
    {
        Text($"key {key}", key);
        switch (value)
        {
            case uint number:
                Field($"type of {key}", () => _writer.Write(4u));
                Field(key, () => _writer.Write(number));
                break;
            case int number:
                Field($"type of {key}", () => _writer.Write(5u));
                Field(key, () => _writer.Write(number));
                break;
            case float number:
                Field($"type of {key}", () => _writer.Write(6u));
                Field(key, () => _writer.Write(number));
                break;
            case bool flag:
                Field($"type of {key}", () => _writer.Write(7u));
                Field(key, () => _writer.Write(flag));
                break;
            case string text:
                Field($"type of {key}", () => _writer.Write(8u));
                Text(key, text);
                break;
            case string[] texts:
                Head(key, 8, texts.Length);
                foreach (var text in texts) Text($"item of {key}", text);
                break;
            case float[] floats:
                Head(key, 6, floats.Length);
                foreach (var number in floats) Field($"item of {key}", () => _writer.Write(number));
                break;
            case int[] numbers:
                Head(key, 5, numbers.Length);
                foreach (var number in numbers) Field($"item of {key}", () => _writer.Write(number));
                break;
        }
    }

    private void Head(string key, uint type, int count)
    {
        Field($"type of {key}", () => _writer.Write(9u));
        Field($"item type of {key}", () => _writer.Write(type));
        Field($"count of {key}", () => _writer.Write((ulong)count));
    }
}
