using Serverless.Catalog;
using Serverless.Catalog.Manifests;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Batching;
using Serverless.Inference.Gguf;
using Serverless.Inference.Models;
using Serverless.Inference.Templates;
using Serverless.Inference.Tokenizers;

namespace Serverless.Worker.Engines;

/// <summary>Backend <c>in-process</c>: a GGUF file of this machine; parameters: <see cref="InProcessParams"/>.</summary>
internal sealed class InProcessEngineFactory(TimeProvider time) : IEngineFactory
{
    public string Backend => "in-process";

    public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var source = pool.Model.Source;
        if (source.Scheme != "host") throw new EngineLoadException($"Model '{pool.Model.Name}' comes from {source.Scheme}; the in-process engine reads GGUF files of this machine (host://).");

        var given = new FlavorParams(pool, InProcessParams.All);
        var options = new InferenceEngineOptions
        {
            MaxSequences = given.Integer(InProcessParams.Slots),
            KvTokens = given.Integer(InProcessParams.KvTokens),
            Threads = given.Integer(InProcessParams.Threads, Environment.ProcessorCount),
            ContextTokens = pool.Model.ContextTokens,
        };
        try
        {
            // Packing the weights takes every core for a moment: off the caller's thread.
            return await Task.Run(() => Load(source.Location, options, pool.Model.Sampling, progress, cancellationToken), cancellationToken);
        }
        catch (Exception exception) when (exception is GgufException or ModelException or TokenizerException or TemplateException or OutOfMemoryException)
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
