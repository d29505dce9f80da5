using System.Collections.Concurrent;
using System.Globalization;
using Serverless.Inference.Kernels;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>
/// Finds the tensors that a model's architecture has, checks their shapes against the sizes, and packs them. With <c>pack</c> false it only looks, which is cheap.
/// A tensor that nothing has asked for is refused: it would have changed the numbers. Thread-safe.
/// </summary>
internal sealed class WeightReader(IModelSource source, bool pack)
{
    private readonly ModelConfig _config = source.Config;
    private readonly Architecture _kind = source.Config.Kind;
    private readonly ConcurrentDictionary<string, bool> _read = new(StringComparer.Ordinal);

    /// <summary>Looks for every tensor of the model, and refuses those that it has not.</summary>
    /// <exception cref="ModelException">One lacks, has another shape, or is not of such a model.</exception>
    public static void Check(IModelSource source)
    {
        var reader = new WeightReader(source, pack: false);
        reader.Embeddings();
        reader.Positions();
        reader.OutputNorm();
        reader.Output();
        for (var layer = 0; layer < source.Config.Layers; layer++) reader.Layer(layer);
        reader.RefuseUnread();
    }

    public PackedMatrix? Embeddings() => Packed(Matrix("token_embd.weight", _config.Vocabulary, _config.Embedding));

    public PackedMatrix? Positions() => _kind.HasLearnedPositions ? Packed(Matrix("position_embd.weight", _config.Context, _config.Embedding)) : null;

    public Norm? OutputNorm() => Norm("output_norm", _config.Embedding);

    /// <summary>The output head; null where it is the embeddings once more.</summary>
    public PackedMatrix? Output() => source.Find("output.weight") is null ? null : Packed(Matrix("output.weight", _config.Vocabulary, _config.Embedding));

    /// <summary>A layer; null where nothing is packed.</summary>
    public LayerWeights? Layer(int layer)
    {
        var prefix = string.Create(CultureInfo.InvariantCulture, $"blk.{layer}.");
        var owned = new List<IDisposable?>();
        try
        {
            var attention = Attention(prefix, owned);
            var isWhole = _kind.QueryKeyNorm == HeadNorm.Whole;
            var hasHeadNorm = _kind.QueryKeyNorm != HeadNorm.None;
            var weights = attention with
            {
                AttentionNorm = Own(owned, _kind.HasNormsBefore ? Norm(prefix + "attn_norm", _config.Embedding) : null),
                QueryNorm = Own(owned, hasHeadNorm ? Norm(prefix + "attn_q_norm", isWhole ? _config.QuerySize : _config.HeadSize) : null),
                KeyNorm = Own(owned, hasHeadNorm ? Norm(prefix + "attn_k_norm", isWhole ? _config.KeyValueSize : _config.HeadSize) : null),
                AfterAttention = Own(owned, _kind.HasNormsAfter ? Norm(prefix + "post_attention_norm", _config.Embedding) : null),
                FeedForwardNorm = Own(owned, _kind.HasNormsBefore ? Norm(prefix + "ffn_norm", _config.Embedding) : null),
                Experts = Own(owned, _config.Experts > 0 ? Experts(prefix) : null),
                Feed = Own(owned, _config.Experts > 0 ? null : Feed(prefix)),
                AfterFeedForward = Own(owned, _kind.HasNormsAfter ? Norm(prefix + "post_ffw_norm", _config.Embedding) : null),
            };
            return pack ? weights : null;
        }
        catch
        {
            foreach (var part in owned) part?.Dispose();
            throw;
        }
    }

    private static T? Own<T>(List<IDisposable?> owned, T? part)
        where T : class, IDisposable
    {
        owned.Add(part);
        return part;
    }

    private static void Check(WeightRows tensor, int rows, int columns)
    {
        if (tensor.Rows != rows || tensor.Columns != columns)
            throw new ModelException($"Tensor '{tensor.Name}' is {tensor.Shape}; the sizes in the metadata make it {columns} × {rows}.");
    }

    private LayerWeights Attention(string prefix, List<IDisposable?> owned)
    {
        var (query, keyValue) = (_config.QuerySize, _config.KeyValueSize);
        var isFused = source.Find(prefix + "attn_qkv.weight") is not null;
        WeightRows[] parts = isFused
            ? [Matrix(prefix + "attn_qkv.weight", query + (2 * keyValue), _config.Embedding)]
            : [Matrix(prefix + "attn_q.weight", query, _config.Embedding), Matrix(prefix + "attn_k.weight", keyValue, _config.Embedding), Matrix(prefix + "attn_v.weight", keyValue, _config.Embedding)];
        string[] biases = isFused ? ["attn_qkv"] : ["attn_q", "attn_k", "attn_v"];
        var stack = Own(owned, Stack(parts));
        return new LayerWeights
        {
            QueryKeyValue = stack!,
            KeyStart = isFused ? query : stack?.Start(1) ?? 0,
            ValueStart = isFused ? query + keyValue : stack?.Start(2) ?? 0,
            QueryKeyValueBias = Own(owned, Bias(prefix, biases, parts, stack, _kind.AttentionBias)),
            AttentionOutput = Own(owned, Stack(Matrix(prefix + "attn_output.weight", _config.Embedding, query)))!,
            AttentionOutputBias = Own(owned, Bias(prefix, "attn_output", _config.Embedding, _kind.OutputBias)),
        };
    }

    private FeedWeights? Feed(string prefix)
    {
        var (size, embedding) = (_config.FeedForward, _config.Embedding);
        var isFused = _kind.IsGated && source.Find(prefix + "ffn_gate.weight") is null;
        WeightRows[] parts = !_kind.IsGated || isFused
            ? [Matrix(prefix + "ffn_up.weight", isFused ? 2 * size : size, embedding)]
            : [Matrix(prefix + "ffn_gate.weight", size, embedding), Matrix(prefix + "ffn_up.weight", size, embedding)];
        string[] biases = parts.Length == 1 ? ["ffn_up"] : ["ffn_gate", "ffn_up"];
        return Feed(parts, Matrix(prefix + "ffn_down.weight", embedding, size), isFused, up => Bias(prefix, biases, parts, up, _kind.FeedBias), () => Bias(prefix, "ffn_down", embedding, _kind.FeedBias));
    }

    private FeedWeights? Feed(WeightRows[] up, WeightRows down, bool isFused, Func<MatrixStack?, NativeMemoryBlock?> upBias, Func<NativeMemoryBlock?> downBias)
    {
        var owned = new List<IDisposable?>();
        try
        {
            var first = Own(owned, Stack(up));
            var firstBias = Own(owned, upBias(first));
            var second = Own(owned, Stack(down));
            var secondBias = downBias();
            return first is null ? null : new FeedWeights(first, isFused ? _config.FeedForward : up.Length == 1 ? 0 : first.Start(1), firstBias, second!, secondBias);
        }
        catch
        {
            foreach (var part in owned) part?.Dispose();
            throw;
        }
    }

    private ExpertWeights? Experts(string prefix)
    {
        var owned = new List<IDisposable?>();
        try
        {
            var router = Own(owned, Stack(Matrix(prefix + "ffn_gate_inp.weight", _config.Experts, _config.Embedding)));
            var (gates, ups, downs) = (OfExperts(prefix, "ffn_gate", _config.FeedForward, _config.Embedding), OfExperts(prefix, "ffn_up", _config.FeedForward, _config.Embedding), OfExperts(prefix, "ffn_down", _config.Embedding, _config.FeedForward));
            var experts = new FeedWeights[_config.Experts];
            for (var i = 0; i < experts.Length; i++) experts[i] = Own(owned, Feed([gates(i), ups(i)], downs(i), isFused: false, _ => null, () => null))!;
            return router is null ? null : new ExpertWeights(router, experts);
        }
        catch
        {
            foreach (var part in owned) part?.Dispose();
            throw;
        }
    }

    /// <summary>One matrix of each expert: below each other in one tensor, or in a tensor each.</summary>
    private Func<int, WeightRows> OfExperts(string prefix, string name, int rows, int columns)
    {
        if (source.Find($"{prefix}{name}_exps.weight") is null) return expert => Matrix(string.Create(CultureInfo.InvariantCulture, $"{prefix}{name}.{expert}.weight"), rows, columns);

        var all = Matrix($"{prefix}{name}_exps.weight", checked(rows * _config.Experts), columns);
        return expert => all.Slice(expert * rows, rows);
    }

    private void RefuseUnread()
    {
        string[] unknown = [.. source.Names.Where(name => !_read.ContainsKey(name)).Order(StringComparer.Ordinal)];
        if (unknown.Length == 0) return;

        var others = unknown.Length == 1 ? "" : $" and {unknown.Length - 1} more";
        throw new ModelException($"Tensor '{unknown[0]}'{others} in the file would not be read: the {_kind.Name} models that this engine runs have none of that name, and without it the model's numbers would be wrong.");
    }

    private WeightRows Matrix(string name, int rows, int columns)
    {
        var tensor = source.Find(name) ?? throw new ModelException($"There is no tensor '{name}', which the architecture '{_kind.Name}' needs.");
        Check(tensor, rows, columns);
        _read[name] = true;
        return tensor;
    }

    private PackedMatrix? Packed(WeightRows tensor) => pack ? PackedMatrix.Pack(tensor) : null;

    private MatrixStack? Stack(params ReadOnlySpan<WeightRows> tensors) => pack ? MatrixStack.Pack(tensors) : null;

    private Norm? Norm(string name, int length)
    {
        var tensor = Vector(name + ".weight", length);
        var bias = _kind.HasLayerNorm ? Vector(name + ".bias", length) : null;
        if (!pack) return null;

        var weight = Floats(tensor, length, _config.NormOffset);
        try
        {
            return new Norm(weight, bias is null ? null : Floats(bias, length, 0), _config.Epsilon);
        }
        catch
        {
            weight.Dispose();
            throw;
        }
    }

    private NativeMemoryBlock? Bias(string prefix, string name, int length, Presence presence)
    {
        if (!Has(prefix + name + ".bias", presence)) return null;
        var tensor = Vector(prefix + name + ".bias", length);
        return pack ? Floats(tensor, length, 0) : null;
    }

    /// <summary>The biases of a stack, as its output lies.</summary>
    private unsafe NativeMemoryBlock? Bias(string prefix, string[] names, WeightRows[] matrices, MatrixStack? stack, Presence presence)
    {
        if (!Has(prefix + names[0] + ".bias", presence)) return null;

        WeightRows[] tensors = [.. names.Select((name, i) => Vector(prefix + name + ".bias", matrices[i].Rows))];
        if (stack is null) return null;

        var block = new NativeMemoryBlock((long)stack.OutputLength * sizeof(float));
        try
        {
            for (var i = 0; i < tensors.Length; i++) Dequantizer.Read(tensors[i], 0, new Span<float>(block.Floats + stack.Start(i), tensors[i].Columns));
            return block;
        }
        catch
        {
            block.Dispose();
            throw;
        }
    }

    private bool Has(string name, Presence presence) => presence == Presence.Must || (presence == Presence.May && source.Find(name) is not null);

    private WeightRows Vector(string name, int length)
    {
        var tensor = Matrix(name, 1, length);
        return tensor.Type is WeightType.F32 or WeightType.F16 or WeightType.BF16 ? tensor : throw new ModelException($"Tensor '{name}' is {tensor.Type}; norms and biases are read as F32, F16 and BF16.");
    }

    private static unsafe NativeMemoryBlock Floats(WeightRows tensor, int length, float offset)
    {
        var block = new NativeMemoryBlock((long)length * sizeof(float));
        try
        {
            var values = new Span<float>(block.Floats, length);
            Dequantizer.Read(tensor, 0, values);
            for (var i = 0; offset != 0 && i < length; i++) values[i] += offset;
            return block;
        }
        catch
        {
            block.Dispose();
            throw;
        }
    }
}
