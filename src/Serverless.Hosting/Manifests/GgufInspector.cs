using System.Globalization;
using Serverless.Catalog.Manifests;
using Serverless.Inference.Gguf;

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
            return new ModelFacts(file.Size($"{architecture}.context_length", MostContextTokens));
        }
        catch (GgufException exception)
        {
            fault = exception.Message;
            return null;
        }
    }
}
