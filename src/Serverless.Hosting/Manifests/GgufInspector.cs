using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Catalog.Manifests;
using Serverless.Hosting.Loading;
using Serverless.Inference.Gguf;
using Serverless.Inference.Models;
using Serverless.Inference.Templates;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Hosting.Manifests;

/// <summary>Reads the header of a GGUF file, or of the files of a folder of transformers.</summary>
internal sealed class GgufInspector(ModelCache? models = null) : IModelInspector
{
    private const int MostContextTokens = 1 << 24;

    private readonly ConcurrentDictionary<ModelSource, ModelFacts?> _known = new();

    public ModelFacts? Known(ModelSource source) => _known.GetOrAdd(source, asked =>
    {
        if (models?.Find(asked) is not { } path || Inspect(path, out _) is not { } facts) return null;

        var file = ModelFile.Of(path);
        return facts with { Bytes = file.Exists ? file.Length : null };
    });

    public ModelFacts? Inspect(string path, out string? fault)
    {
        fault = null;
        try
        {
            if (Directory.Exists(path)) return InspectFolder(path);

            using var file = GgufFile.Open(path);
            var architecture = file.Get<string>("general.architecture");
            var (sampling, ignored) = GenerationDefaults.Of(path, file);
            return new ModelFacts(file.Size($"{architecture}.context_length", MostContextTokens), Unservable(path, () => Check(path), () => file.Find<string>("tokenizer.chat_template"))) { Sampling = sampling, Ignored = ignored };
        }
        catch (ModelFileException exception)
        {
            fault = exception.Message;
            return null;
        }
    }

    /// <summary>Of a folder whose model this engine does not run no size is known; it is left out.</summary>
    private static ModelFacts InspectFolder(string path)
    {
        try
        {
            using var files = ModelFiles.Look(path);
            var (sampling, ignored) = GenerationDefaults.Of(Path.Combine(path, "config.json"), null);
            return new ModelFacts(files.Config.Context, Unservable(path, files.Check, () => files.ChatTemplate)) { Sampling = sampling, Ignored = ignored };
        }
        catch (ModelException exception)
        {
            return new ModelFacts(1, $"'{path}': {exception.Message}");
        }
    }

    private static void Check(string path)
    {
        using var files = ModelFiles.Look(path);
        files.Check();
    }

    /// <summary>Asked now, so that it is no failure of the first request or of every load.</summary>
    private static string? Unservable(string path, Action check, Func<string?> template)
    {
        try
        {
            check();
            if (template() is { } source) ChatTemplate.Parse(source);
            return null;
        }
        catch (Exception exception) when (exception is ModelFileException or ModelException or TokenizerException)
        {
            return exception is ModelFileException ? exception.Message : $"'{path}': {exception.Message}";
        }
        catch (TemplateException exception)
        {
            return $"'{path}': its chat template (tokenizer.chat_template) cannot be read: {exception.Message}";
        }
    }
}
