using Serverless.Catalog;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>Asks a source what it holds, by its scheme.</summary>
internal sealed class Hubs(ModelOptions options, HubHttp http) : IDisposable
{
    private readonly HuggingFaceHub _huggingFace = new(options.HuggingFace, http);
    private readonly ModelScopeHub _modelScope = new(options.ModelScope, http);
    private readonly OllamaRegistry _ollama = new(options.Ollama, http);
    private readonly BucketStore _buckets = new(options);
    private readonly WebFile _web = new(http);

    /// <summary>The files that make the model, checked.</summary>
    /// <exception cref="ModelPullException">It cannot be had.</exception>
    public async Task<Listing> ListAsync(ModelSource source, CancellationToken cancellationToken)
    {
        try
        {
            var listing = RemoteNames.Check(await AskAsync(source, cancellationToken), source.Shown);
            return listing with { Files = FileChoice.Of(listing.Files, source) };
        }
        catch (InvalidOperationException exception) // as LooseJson says
        {
            throw new ModelPullException($"{source.Shown}: the answer has a text that is no Unicode; is it such a hub?", exception);
        }
    }

    public void Dispose() => _buckets.Dispose();

    private Task<Listing> AskAsync(ModelSource source, CancellationToken cancellationToken) => source.Scheme switch
    {
        ModelSource.HuggingFace => _huggingFace.ListAsync(source, cancellationToken),
        ModelSource.ModelScope => _modelScope.ListAsync(source, cancellationToken),
        "ollama" => _ollama.ListAsync(source, cancellationToken),
        "s3" or "gcs" or "oss" => _buckets.ListAsync(source, cancellationToken),
        "https" or "http" => _web.ListAsync(source, cancellationToken),
        _ => throw new ModelPullException($"{source.Shown} is nothing that is pulled; known are {string.Join(", ", ModelUri.Schemes)}."),
    };
}
