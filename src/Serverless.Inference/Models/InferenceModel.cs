using System.Runtime.ExceptionServices;
using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;
using Serverless.Inference.Tokenizers;

namespace Serverless.Inference.Models;

/// <summary>A model in memory, ready to run: its sizes, tokenizer and packed weights. Immutable and thread-safe; engines share it. Dispose it after the last of them.</summary>
public sealed class InferenceModel : IDisposable
{
    private readonly GgufFile _file;
    private readonly LayerWeights[] _layers;

    private InferenceModel(GgufFile file, ModelConfig config, Tokenizer tokenizer, LayerWeights[] layers, NativeMemoryBlock outputNorm, PackedMatrix output)
    {
        (_file, Config, Tokenizer, _layers, OutputNorm, Output) = (file, config, tokenizer, layers, outputNorm, output);
    }

    /// <summary>Its sizes.</summary>
    public ModelConfig Config { get; }

    /// <summary>Its tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The source of its chat template, or null if it has none.</summary>
    public string? ChatTemplate => _file.Find<string>("tokenizer.chat_template");

    /// <summary>Bytes of packed weights in memory.</summary>
    public long WeightBytes => _layers.Sum(layer => layer.ByteLength) + Output.ByteLength;

    internal IReadOnlyList<LayerWeights> Layers => _layers;

    internal NativeMemoryBlock OutputNorm { get; }

    internal PackedMatrix Output { get; }

    internal GgufTensor Embeddings => _file.Tensor("token_embd.weight");

    /// <summary>Loads a GGUF file and packs its weights, on all cores.</summary>
    /// <param name="path">The file.</param>
    /// <param name="progress">Told the share that is done, 0 to 1; may be null.</param>
    /// <param name="cancellationToken">Stops the load.</param>
    /// <exception cref="GgufException">The file cannot be read.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    /// <exception cref="TokenizerException">Its tokenizer is of a kind that is not known.</exception>
    public static InferenceModel Load(string path, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        var file = GgufFile.Open(path);
        try
        {
            return Pack(file, progress, cancellationToken);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        foreach (var layer in _layers) layer.Dispose();
        Output.Dispose();
        OutputNorm.Dispose();
        _file.Dispose();
    }

    private static InferenceModel Pack(GgufFile file, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        var config = ModelConfig.Read(file);
        var tokenizer = Tokenizer.Load(file);
        if (tokenizer.VocabularySize != config.Vocabulary) throw new ModelException($"tokenizer.ggml.tokens has {tokenizer.VocabularySize} entries, token_embd.weight {config.Vocabulary} rows; they must be as many.");

        var reader = new WeightReader(file, config);
        var layers = new LayerWeights[config.Layers];
        PackedMatrix? output = null;
        var done = 0;
        var outputNorm = reader.Norm("output_norm.weight");
        try
        {
            Parallel.For(0, config.Layers + 1, new ParallelOptions { CancellationToken = cancellationToken }, part =>
            {
                if (part == 0) output = reader.Output();
                else layers[part - 1] = reader.Layer(part - 1);
                progress?.Report((double)Interlocked.Increment(ref done) / (config.Layers + 1));
            });
        }
        catch (Exception exception)
        {
            outputNorm.Dispose();
            output?.Dispose();
            foreach (var layer in layers) layer?.Dispose();

            // Of several tensors that are wrong the first says enough.
            if (exception is AggregateException { InnerException: { } first }) ExceptionDispatchInfo.Throw(first);
            throw;
        }

        return new InferenceModel(file, config, tokenizer, layers, outputNorm, output!);
    }
}
