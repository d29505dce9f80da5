using System.Collections.Concurrent;
using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>Finds the tensors of a llama file, checks their shapes against the sizes, and packs them; in the end there must be none that nobody has read. Thread-safe.</summary>
internal sealed class WeightReader(GgufFile file, ModelConfig config)
{
    private readonly ConcurrentDictionary<string, bool> _read = new(StringComparer.Ordinal);

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

    /// <summary>A tensor that is left over would have changed the numbers: the model is of a kind that this engine does not run.</summary>
    /// <exception cref="ModelException">There is one.</exception>
    public void Finish()
    {
        string[] left = [.. file.Tensors.Keys.Where(name => name != ModelConfig.RopeFactorsTensor && !_read.ContainsKey(name)).Order(StringComparer.Ordinal)];
        if (left.Length > 0)
            throw new ModelException($"Tensor '{left[0]}'{(left.Length > 1 ? $" and {left.Length - 1} more are" : " is")} in the file and not part of the llama models that this engine runs; without {(left.Length > 1 ? "them" : "it")} its numbers would be wrong.");
    }

    public unsafe NativeMemoryBlock Norm(string name)
    {
        var tensor = Take(name);
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
        var tensor = Take(name);
        Check(tensor, rows, columns);
        return tensor;
    }

    private GgufTensor Take(string name)
    {
        _read[name] = true;
        return file.Tensor(name);
    }
}
