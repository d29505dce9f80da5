using Serverless.Catalog;

namespace Serverless.Hosting.Loading;

/// <summary>Hugging Face's API: <c>GET /api/models/{id}/revision/{revision}?blobs=true</c> tells the commit and every file with its size and, of those in LFS, its SHA-256.</summary>
internal sealed class HuggingFaceHub(HubOptions options, HubHttp http)
{
    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var endpoint = HubAnswers.EndpointOf(options, "HF_ENDPOINT", "https://huggingface.co");
        var token = options.Token ?? HubAnswers.Variable("HF_TOKEN");
        var id = HubAnswers.Escaped(source.Location);
        using var answer = await http.JsonAsync(HubAnswers.Below(endpoint, $"api/models/{id}/revision/{Uri.EscapeDataString(source.Revision ?? "main")}?blobs=true"), token, source.Shown, cancellationToken);
        var root = answer.RootElement;
        var commit = root.Text("sha").Needed("sha", source.Shown);
        var files = new List<RemoteFile>();
        foreach (var entry in root.Items("siblings", source.Shown))
        {
            var name = entry.Text("rfilename").Needed("rfilename", source.Shown);
            var large = entry.Get("lfs");
            var address = HubAnswers.Below(endpoint, $"{id}/resolve/{Uri.EscapeDataString(commit)}/{HubAnswers.Escaped(name)}");
            files.Add(new RemoteFile(name, (large?.Get("size") ?? entry.Get("size"))?.Long(), () => address)
            {
                Sha256 = large?.Text("sha256")?.ToLowerInvariant(),
                GitSha1 = large is null && entry.Text("blobId") is { Length: 40 } blob ? blob.ToLowerInvariant() : null,
                Token = token,
            });
        }

        return new Listing(commit, files);
    }
}
