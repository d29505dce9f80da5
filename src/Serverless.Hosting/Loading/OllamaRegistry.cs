using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>Ollama's registry, which speaks Docker's: a manifest names layers by digest, and the one of the model is a GGUF file. Its template is in that file too.</summary>
internal sealed class OllamaRegistry(HubOptions options, HubHttp http)
{
    private const string ManifestType = "application/vnd.docker.distribution.manifest.v2+json";
    private const string ModelLayer = "application/vnd.ollama.image.model";

    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var endpoint = HubAnswers.EndpointOf(options, "OLLAMA_REGISTRY", "https://registry.ollama.ai");
        var colon = source.Location.LastIndexOf(':');
        var (name, tag) = colon < 0 ? (source.Location, "latest") : (source.Location[..colon], source.Location[(colon + 1)..]);
        var repository = HubAnswers.Escaped(name.Contains('/', StringComparison.Ordinal) ? name : $"library/{name}");
        using var answer = await http.JsonAsync(HubAnswers.Below(endpoint, $"v2/{repository}/manifests/{Uri.EscapeDataString(tag)}"), options.Token, source.Shown, cancellationToken, ManifestType);
        var layers = answer.RootElement.Items("layers", source.Shown).Where(layer => layer.Text("mediaType") == ModelLayer).ToList();
        if (layers.Count != 1) throw new ModelPullException($"{source.Shown} has {layers.Count} layers of a model ({ModelLayer}); one is read.");

        var digest = layers[0].Text("digest").Needed("digest", source.Shown);
        if (!digest.StartsWith("sha256:", StringComparison.Ordinal) || !RemoteNames.IsSha256(digest[7..])) throw new ModelPullException($"{source.Shown} names its model by a digest that is no SHA-256.");

        var address = HubAnswers.Below(endpoint, $"v2/{repository}/blobs/{digest}");
        return new Listing(digest, [new RemoteFile("model.gguf", layers[0].Get("size")?.Long(), () => address) { Sha256 = digest[7..], Token = options.Token }]);
    }
}
