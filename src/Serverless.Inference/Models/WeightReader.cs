using System.Globalization;
using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>Finds the tensors of a llama file, checks their shapes against the sizes, and packs them. Thread-safe.</summary>
internal sealed class WeightReader(GgufFile file, ModelConfig config)
{
    private static readonly string[] Once = ["token_embd.weight", "output_norm.weight", "output.weight", ModelConfig.RopeFactorsTensor];

    private static readonly string[] OfLayer =
        ["attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight", "ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"];

    /// <summary>A tensor that nothing would read would have changed the numbers: the model is of a kind that this engine does not run.</summary>
    /// <exception cref="ModelException">There is one.</exception>
    public static void RefuseUnknown(GgufFile file, ModelConfig config)
    {
        string[] unknown = [.. file.Tensors.Keys.Where(name => !Once.Contains(name) && !IsOfLayer(name, config.Layers)).Order(StringComparer.Ordinal)];
        if (unknown.Length == 0) return;

        var others = unknown.Length == 1 ? "" : $" and {unknown.Length - 1} more";
        throw new ModelException($"Tensor '{unknown[0]}'{others} in the file would not be read: the llama models that this engine runs have none of that name, and without it the model's numbers would be wrong.");
    }

    public LayerWeights Layer(int layer)
    {
        var prefix = $"blk.{layer}.";
        var query = config.Heads * config.HeadSize;
        return new LayerWeights(
            Norm(prefix + "attn_norm.weight"),
            PackedMatrix.Pack(
                Matrix(prefix + "attn_q.weight", query, config.Embedding),
                Matrix(prefix + "attn_k.weight", config.KeyValueSize, config.Embedding),
                Matrix(prefix + "attn_v.weight", config.KeyValueSize, config.Embedding)),
            PackedMatrix.Pack(Matrix(prefix + "attn_output.weight", config.Embedding, query)),
            Norm(prefix + "ffn_norm.weight"),
            PackedMatrix.Pack(Matrix(prefix + "ffn_gate.weight", config.FeedForward, config.Embedding), Matrix(prefix + "ffn_up.weight", config.FeedForward, config.Embedding)),
            PackedMatrix.Pack(Matrix(prefix + "ffn_down.weight", config.Embedding, config.FeedForward)));
    }

    public PackedMatrix Embeddings() => PackedMatrix.Pack(Matrix("token_embd.weight", config.Vocabulary, config.Embedding));

    /// <summary>The output head; null where it is the embeddings once more.</summary>
    public PackedMatrix? Output() => file.Tensors.ContainsKey("output.weight") ? PackedMatrix.Pack(Matrix("output.weight", config.Vocabulary, config.Embedding)) : null;

    public unsafe NativeMemoryBlock Norm(string name)
    {
        var tensor = file.Tensor(name);
        Check(tensor, 1, config.Embedding);
        if (tensor.Type != GgufTensorType.F32) throw new ModelException($"Tensor '{name}' is {tensor.Type}; norms are read as F32.");

        var block = new NativeMemoryBlock(tensor.ByteLength);
        tensor.Row(0).CopyTo(new Span<byte>(block.Bytes, (int)tensor.ByteLength));
        return block;
    }

    private static bool IsOfLayer(string name, int layers) =>
        name.Split('.', 3) is ["blk", var layer, var rest] && int.TryParse(layer, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < layers && OfLayer.Contains(rest);

    private static void Check(GgufTensor tensor, int rows, int columns)
    {
        if (tensor.Rows != rows || tensor.Columns != columns)
            throw new ModelException($"Tensor '{tensor.Name}' is {string.Join(" × ", tensor.Dimensions)}; the sizes in the metadata make it {columns} × {rows}.");
    }

    private GgufTensor Matrix(string name, int rows, int columns)
    {
        var tensor = file.Tensor(name);
        Check(tensor, rows, columns);
        return tensor;
    }
}
