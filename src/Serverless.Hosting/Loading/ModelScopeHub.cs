using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>ModelScope's API: <c>GET /api/v1/models/{id}/repo/files?Revision=…&amp;Recursive=true</c>; its files under <c>/models/{id}/resolve/{revision}/{path}</c>.</summary>
internal sealed class ModelScopeHub(HubOptions options, HubHttp http)
{
    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var endpoint = HubAnswers.EndpointOf(options, "MODELSCOPE_ENDPOINT", "https://modelscope.cn");
        var token = options.Token ?? HubAnswers.Variable("MODELSCOPE_API_TOKEN");
        var (id, revision) = (HubAnswers.Escaped(source.Location), source.Revision ?? ModelUri.DefaultRevision(ModelSource.ModelScope));
        using var answer = await http.JsonAsync(HubAnswers.Below(endpoint, $"api/v1/models/{id}/repo/files?Revision={Uri.EscapeDataString(revision)}&Recursive=true"), token, source.Shown, cancellationToken);
        var root = answer.RootElement;
        if (root.Get("Code")?.Long() is not 200) throw new ModelPullException($"{source.Shown}: ModelScope answers {root.Get("Code")?.Long()}: {RemoteNames.Shown(root.Text("Message") ?? "")}");

        var files = new List<RemoteFile>();
        foreach (var entry in (root.Get("Data") ?? default).Items("Files", source.Shown))
        {
            if (entry.Text("Type") == "tree") continue;

            var name = entry.Text("Path").Needed("Path", source.Shown);
            var address = HubAnswers.Below(endpoint, $"models/{id}/resolve/{Uri.EscapeDataString(revision)}/{HubAnswers.Escaped(name)}");
            files.Add(new RemoteFile(name, entry.Get("Size")?.Long(), () => address) { Sha256 = entry.Text("Sha256") is { Length: > 0 } sha ? sha.ToLowerInvariant() : null, Validator = entry.Text("Revision"), Token = token });
        }

        return new Listing(revision, files);
    }
}
