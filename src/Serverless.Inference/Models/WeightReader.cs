using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>Finds the tensors of a llama file, checks their shapes against the sizes, and packs them.</summary>
internal sealed class WeightReader(GgufFile file, ModelConfig config)
{
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

    /// <summary>The output head: its own tensor, or the embeddings where they are tied.</summary>
    public PackedMatrix Output() =>
        PackedMatrix.Pack(Matrix(file.Tensors.ContainsKey("output.weight") ? "output.weight" : "token_embd.weight", config.Vocabulary, config.Embedding));

    public unsafe NativeMemoryBlock Norm(string name)
    {
        var tensor = file.Tensor(name);
        Check(tensor, 1, config.Embedding);
        if (tensor.Type != GgufTensorType.F32) throw new ModelException($"Tensor '{name}' is {tensor.Type}; norms are read as F32.");

        var block = new NativeMemoryBlock(tensor.ByteLength);
        tensor.Row(0).CopyTo(new Span<byte>(block.Bytes, (int)tensor.ByteLength));
        return block;
    }

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
