using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Batching;
using Serverless.Inference.Models;
using Serverless.Inference.Templates;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Hosting.Engines.InProcess;

/// <summary>Engine <c>in-process</c>: a GGUF file, or a folder of transformers, on this machine; parameters: <see cref="InProcessParams"/>.</summary>
internal sealed class InProcessEngineFactory(CoreBudget cores, TimeProvider time) : IEngineFactory
{
    /// <summary>Bytes of weights that are read and packed a second, on a slow disk and two cores.</summary>
    private const double BytesPerSecond = 100e6;

    private static readonly TimeSpan ShortestLoad = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestLoad = TimeSpan.FromMinutes(10);

    public static EngineDescriptor Described { get; } = new()
    {
        Name = "in-process",
        Params = InProcessParams.All,
        Scheme = ModelSource.FileScheme,
        ReadsFile = true,
        DefaultFlavor = "cpu",
        Resources = ["cpu"],
        Honours = [EngineFeature.LogitBias, EngineFeature.Penalties, EngineFeature.RepetitionPenalty, EngineFeature.TypicalSampling, EngineFeature.DryPenalty, EngineFeature.EchoWithLogProbs],
        FirstLoad = static (_, bytes) => bytes is { } size ? TimeSpan.FromSeconds(Math.Clamp(size / BytesPerSecond, ShortestLoad.TotalSeconds, LongestLoad.TotalSeconds)) : null,
    };

    public EngineDescriptor Descriptor => Described;

    public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var source = pool.Model.Source;
        if (source.Scheme != ModelSource.FileScheme) throw new EngineLoadException($"Model '{pool.Model.Name}' comes from {source.Scheme}; the in-process engine reads files of this machine, to which they are pulled before.");

        var given = new FlavorParams(pool, Described);
        var options = new InferenceEngineOptions
        {
            MaxSequences = given.Integer(InProcessParams.Slots),
            KvTokens = given.Integer(InProcessParams.KvTokens),
            KvFormat = given.Text(InProcessParams.KvFormat) == "q8" ? KeyValueFormat.Q8 : KeyValueFormat.F16,
            Threads = given.Integer(InProcessParams.Threads, Environment.ProcessorCount),
            ContextTokens = pool.Model.ContextTokens,
            Cores = cores,
        };
        try
        {
            // Packing the weights takes every core for a moment: off the caller's thread.
            return await Task.Run(() => Load(source.Location, options, pool.Model.Sampling, progress, cancellationToken), cancellationToken);
        }
        catch (Exception exception) when (exception is ModelFileException or ModelException or TokenizerException or TemplateException or OutOfMemoryException)
        {
            throw new EngineLoadException($"Model '{pool.Model.Name}' cannot be loaded from '{source.Location}': {exception.Message}", exception);
        }
    }

    /// <summary>What is begun and does not become an engine is given back: a load that fails is tried again, and again.</summary>
    private InProcessEngine Load(string path, InferenceEngineOptions options, SamplingDefaults sampling, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var model = InferenceModel.Load(path, progress, cancellationToken);
        try
        {
            // Before the engine, which begins threads.
            var prompts = PromptReader.Load(model.Tokenizer, model.ChatTemplate);
            return new InProcessEngine(model, new InferenceEngine(model, options, time), options, prompts, sampling);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }
}
