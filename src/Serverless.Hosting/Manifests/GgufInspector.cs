using System.Globalization;
using Serverless.Catalog;
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
            return new ModelFacts(file.Size($"{architecture}.context_length", MostContextTokens), Unservable(path, file)) { Sampling = Sampling(path, file) };
        }
        catch (GgufException exception)
        {
            fault = exception.Message;
            return null;
        }
    }

    /// <summary>What llama.cpp writes there of a model's <c>generation_config.json</c>.</summary>
    /// <exception cref="GgufException">A value is none that a request could have.</exception>
    private static SamplingDefaults Sampling(string path, GgufFile file)
    {
        return new SamplingDefaults
        {
            Temperature = Number("general.sampling.temp", 2),
            TopP = Number("general.sampling.top_p", 1),
            TopK = (int?)Number("general.sampling.top_k", int.MaxValue),
            MinP = Number("general.sampling.min_p", 1),
        };

        double? Number(string key, double most)
        {
            if (file.Find<float?>(key) is not { } value) return null;
            if (value >= 0 && value <= most) return Math.Round(value, 6); // as it was written: floats have no 0.2
            throw new GgufException(string.Create(CultureInfo.InvariantCulture, $"'{path}': '{key}' is {value}; 0 to {most} is allowed."));
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
