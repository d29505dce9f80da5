using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>ModelScope's API: <c>GET /api/v1/models/{id}/repo/files?Revision=…&amp;Recursive=true</c>; its files under <c>/models/{id}/resolve/{revision}/{path}</c>.</summary>
internal sealed class ModelScopeHub(HubOptions options, HubHttp http)
{
    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var endpoint = Json.EndpointOf(options, "MODELSCOPE_ENDPOINT", "https://modelscope.cn");
        var token = options.Token ?? (Environment.GetEnvironmentVariable("MODELSCOPE_API_TOKEN") is { Length: > 0 } named ? named : null);
        var (id, revision) = (Json.Escaped(source.Location), source.Revision ?? ModelUri.DefaultRevision(ModelSource.ModelScope));
        using var answer = await http.JsonAsync(Json.Below(endpoint, $"api/v1/models/{id}/repo/files?Revision={Uri.EscapeDataString(revision)}&Recursive=true"), token, source.Text, cancellationToken);
        var root = (System.Text.Json.JsonElement?)answer.RootElement;
        if (root.Number("Code") is not 200) throw new ModelPullException($"{source.Text}: ModelScope answers {root.Number("Code")}: {root.Text("Message")}");

        var files = new List<RemoteFile>();
        foreach (var entry in root.Get("Data").Items("Files", source.Text))
        {
            if (entry.Text("Type") == "tree") continue;

            var name = entry.Text("Path").Needed("Path", source.Text);
            var address = Json.Below(endpoint, $"models/{id}/resolve/{Uri.EscapeDataString(revision)}/{Json.Escaped(name)}");
            files.Add(new RemoteFile(name, entry.Number("Size"), () => address) { Sha256 = entry.Text("Sha256") is { Length: > 0 } sha ? sha.ToLowerInvariant() : null, Validator = entry.Text("Revision"), Token = token });
        }

        return new Listing(revision, files);
    }
}
