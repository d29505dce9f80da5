using Serverless.Catalog;

namespace Serverless.Hosting.Loading;

/// <summary>Hugging Face's API: <c>GET /api/models/{id}/revision/{revision}?blobs=true</c> tells the commit and every file with its size and, of those in LFS, its SHA-256.</summary>
internal sealed class HuggingFaceHub(HubOptions options, HubHttp http)
{
    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var endpoint = Json.EndpointOf(options, "HF_ENDPOINT", "https://huggingface.co");
        var token = options.Token ?? (Environment.GetEnvironmentVariable("HF_TOKEN") is { Length: > 0 } named ? named : null);
        var id = Json.Escaped(source.Location);
        using var answer = await http.JsonAsync(Json.Below(endpoint, $"api/models/{id}/revision/{Uri.EscapeDataString(source.Revision ?? "main")}?blobs=true"), token, source.Text, cancellationToken);
        var root = (System.Text.Json.JsonElement?)answer.RootElement;
        var commit = root.Text("sha").Needed("sha", source.Text);
        var files = new List<RemoteFile>();
        foreach (var entry in root.Items("siblings", source.Text))
        {
            var name = entry.Text("rfilename").Needed("rfilename", source.Text);
            var large = entry.Get("lfs");
            var address = Json.Below(endpoint, $"{id}/resolve/{Uri.EscapeDataString(commit)}/{Json.Escaped(name)}");
            files.Add(new RemoteFile(name, large.Number("size") ?? entry.Number("size"), () => address)
            {
                Sha256 = large.Text("sha256")?.ToLowerInvariant(),
                GitSha1 = large is null && entry.Text("blobId") is { Length: 40 } blob ? blob.ToLowerInvariant() : null,
                Token = token,
            });
        }

        return new Listing(commit, files);
    }
}
