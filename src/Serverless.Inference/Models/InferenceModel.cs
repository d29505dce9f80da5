using System.Runtime.ExceptionServices;
using Serverless.Inference.Kernels;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>A model in memory, ready to run: its sizes, tokenizer and packed weights. Immutable and thread-safe; engines share it. Dispose it after the last of them.</summary>
public sealed class InferenceModel : IDisposable
{
    private readonly LayerWeights[] _layers;

    private InferenceModel(ModelConfig config, Tokenizer tokenizer, LayerWeights[] layers, Norm outputNorm, PackedMatrix embeddings, PackedMatrix output)
    {
        (Config, Tokenizer, _layers, OutputNorm, Embeddings, Output) = (config, tokenizer, layers, outputNorm, embeddings, output);
    }

    /// <summary>Its sizes.</summary>
    public ModelConfig Config { get; }

    /// <summary>Its tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The source of its chat template, or null if it has none.</summary>
    public string? ChatTemplate { get; private init; }

    internal IReadOnlyList<LayerWeights> Layers => _layers;

    internal Norm OutputNorm { get; }

    internal PackedMatrix Embeddings { get; }

    /// <summary>A vector of each position, where positions are learned.</summary>
    internal PackedMatrix? Positions { get; private init; }

    /// <summary>The output head; the embeddings themselves where the two are tied.</summary>
    internal PackedMatrix Output { get; }

    /// <summary>
    /// Loads a model and packs its weights, on all cores: a GGUF file, the first of several, or a folder of transformers (config.json, tokenizer.json, model.safetensors).
    /// All is copied: once loaded, the files may be replaced or deleted.
    /// </summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="progress">Told the share that is done, 0 to 1; may be null.</param>
    /// <param name="cancellationToken">Stops the load.</param>
    /// <exception cref="ModelFileException">A file cannot be read.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    /// <exception cref="TokenizerException">Its tokenizer is of a kind that is not known.</exception>
    public static InferenceModel Load(string path, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        using var source = ModelFiles.Open(path);
        return Pack(source, progress, cancellationToken);
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        foreach (var layer in _layers) layer.Dispose();
        Output.Dispose();
        Embeddings.Dispose();
        OutputNorm.Dispose();
        Positions?.Dispose();
    }

    private static InferenceModel Pack(IModelSource source, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        var config = source.Config;
        WeightReader.Check(source);
        var tokenizer = source.ReadTokenizer();
        if (tokenizer.VocabularySize != config.Vocabulary) throw new ModelException($"The tokenizer has {tokenizer.VocabularySize} entries, token_embd.weight {config.Vocabulary} rows; they must be as many.");

        var reader = new WeightReader(source, pack: true);
        var layers = new LayerWeights?[config.Layers];
        var (embeddings, output, positions, outputNorm) = ((PackedMatrix?)null, (PackedMatrix?)null, (PackedMatrix?)null, (Norm?)null);
        var done = 0;
        try
        {
            outputNorm = reader.OutputNorm();
            positions = reader.Positions();
            Parallel.For(0, config.Layers + 2, new ParallelOptions { CancellationToken = cancellationToken }, part =>
            {
                if (part == 0) embeddings = reader.Embeddings();
                else if (part == 1) output = reader.Output();
                else layers[part - 2] = reader.Layer(part - 2);
                progress?.Report((double)Interlocked.Increment(ref done) / (config.Layers + 2));
            });
            return new InferenceModel(config, tokenizer, layers!, outputNorm!, embeddings!, output ?? embeddings!) { ChatTemplate = source.ChatTemplate, Positions = positions };
        }
        catch (Exception exception)
        {
            foreach (var part in (IDisposable?[])[outputNorm, positions, embeddings, output, .. layers]) part?.Dispose();

            // Of several tensors that are wrong the first says enough.
            if (exception is AggregateException { InnerException: { } first }) ExceptionDispatchInfo.Throw(first);
            throw;
        }
    }
}
