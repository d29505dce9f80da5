using System.Globalization;
using Serverless.Catalog.Manifests;
using Serverless.Inference.Gguf;
using Serverless.Inference.Models;
using Serverless.Inference.Templates;
using Serverless.Inference.Tokenizers;

namespace Serverless.Hosting.Manifests;

/// <summary>Reads the header of a GGUF file.</summary>
internal sealed class GgufInspector : IModelInspector
{
    private const int MostContextTokens = 1 << 24;

    public ModelFacts? Inspect(string path, out string? fault)
    {
        fault = null;
        try
        {
            if (Directory.Exists(path))
            {
                fault = string.Create(CultureInfo.InvariantCulture, $"'{path}' is a folder; name its .gguf file");
                return null;
            }

            using var file = GgufFile.Open(path);
            var architecture = file.Get<string>("general.architecture");
            var (sampling, ignored) = GenerationDefaults.Of(path, file);
            return new ModelFacts(file.Size($"{architecture}.context_length", MostContextTokens), Unservable(path, file)) { Sampling = sampling, Ignored = ignored };
        }
        catch (GgufException exception)
        {
            fault = exception.Message;
            return null;
        }
    }

    /// <summary>Asked now, so that it is no failure of the first request or of every load.</summary>
    private static string? Unservable(string path, GgufFile file)
    {
        try
        {
            InferenceModel.Check(file);
            if (file.Find<string>("tokenizer.chat_template") is { } template) ChatTemplate.Parse(template);
            return null;
        }
        catch (Exception exception) when (exception is GgufException or ModelException or TokenizerException)
        {
            return exception is GgufException ? exception.Message : $"'{path}': {exception.Message}";
        }
        catch (TemplateException exception)
        {
            return $"'{path}': its chat template (tokenizer.chat_template) cannot be read: {exception.Message}";
        }
    }
}
