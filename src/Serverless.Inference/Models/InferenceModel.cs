using System.Runtime.ExceptionServices;
using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;
using Serverless.Inference.Tokenizers;

namespace Serverless.Inference.Models;

/// <summary>A model in memory, ready to run: its sizes, tokenizer and packed weights. Immutable and thread-safe; engines share it. Dispose it after the last of them.</summary>
public sealed class InferenceModel : IDisposable
{
    private readonly LayerWeights[] _layers;

    private InferenceModel(ModelConfig config, Tokenizer tokenizer, LayerWeights[] layers, NativeMemoryBlock outputNorm, PackedMatrix embeddings, PackedMatrix output)
    {
        (Config, Tokenizer, _layers, OutputNorm, Embeddings, Output) = (config, tokenizer, layers, outputNorm, embeddings, output);
    }

    /// <summary>Its sizes.</summary>
    public ModelConfig Config { get; }

    /// <summary>Its tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The source of its chat template, or null if it has none.</summary>
    public string? ChatTemplate { get; private init; }

    /// <summary>Bytes of packed weights in memory.</summary>
    public long WeightBytes => _layers.Sum(layer => layer.ByteLength) + Output.ByteLength + (Output == Embeddings ? 0 : Embeddings.ByteLength);

    internal IReadOnlyList<LayerWeights> Layers => _layers;

    internal NativeMemoryBlock OutputNorm { get; }

    internal PackedMatrix Embeddings { get; }

    /// <summary>The output head; the embeddings themselves where the two are tied.</summary>
    internal PackedMatrix Output { get; }

    /// <summary>Loads a GGUF file and packs its weights, on all cores. All is copied: once loaded, the file may be replaced or deleted.</summary>
    /// <param name="path">The file.</param>
    /// <param name="progress">Told the share that is done, 0 to 1; may be null.</param>
    /// <param name="cancellationToken">Stops the load.</param>
    /// <exception cref="GgufException">The file cannot be read.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    /// <exception cref="TokenizerException">Its tokenizer is of a kind that is not known.</exception>
    public static InferenceModel Load(string path, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        using var file = GgufFile.Open(path);
        return Pack(file, progress, cancellationToken);
    }

    /// <summary>Whether this engine runs the model of a file, as far as its header says: cheap, so that a manifest's reader can tell.</summary>
    /// <exception cref="GgufException">A field is missing or malformed.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    /// <exception cref="TokenizerException">Its tokenizer is of a kind that is not known.</exception>
    public static ModelConfig Check(GgufFile file)
    {
        var config = ModelConfig.Read(file);
        Tokenizer.Check(file);
        WeightReader.RefuseUnknown(file, config);
        return config;
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        foreach (var layer in _layers) layer.Dispose();
        Output.Dispose();
        Embeddings.Dispose();
        OutputNorm.Dispose();
    }

    private static InferenceModel Pack(GgufFile file, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        var config = Check(file);
        var tokenizer = Tokenizer.Load(file);
        if (tokenizer.VocabularySize != config.Vocabulary) throw new ModelException($"tokenizer.ggml.tokens has {tokenizer.VocabularySize} entries, token_embd.weight {config.Vocabulary} rows; they must be as many.");

        var reader = new WeightReader(file, config);
        var layers = new LayerWeights[config.Layers];
        var (embeddings, output, outputNorm) = ((PackedMatrix?)null, (PackedMatrix?)null, (NativeMemoryBlock?)null);
        var done = 0;
        try
        {
            outputNorm = reader.Norm("output_norm.weight");
            Parallel.For(0, config.Layers + 2, new ParallelOptions { CancellationToken = cancellationToken }, part =>
            {
                if (part == 0) embeddings = reader.Embeddings();
                else if (part == 1) output = reader.Output();
                else layers[part - 2] = reader.Layer(part - 2);
                progress?.Report((double)Interlocked.Increment(ref done) / (config.Layers + 2));
            });
            return new InferenceModel(config, tokenizer, layers, outputNorm, embeddings!, output ?? embeddings!) { ChatTemplate = file.Find<string>("tokenizer.chat_template") };
        }
        catch (Exception exception)
        {
            outputNorm?.Dispose();
            embeddings?.Dispose();
            output?.Dispose();
            foreach (var layer in layers) layer?.Dispose();

            // Of several tensors that are wrong the first says enough.
            if (exception is AggregateException { InnerException: { } first }) ExceptionDispatchInfo.Throw(first);
            throw;
        }
    }
}
