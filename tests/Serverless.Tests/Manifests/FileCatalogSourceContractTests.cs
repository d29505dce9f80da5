using Serverless.Catalog;
using Serverless.Hosting.Manifests;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Manifests;

public sealed class FileCatalogSourceContractTests : CatalogSourceContract, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("manifests-");
    private FileCatalogSource? _source;

    public void Dispose() => _folder.Delete(recursive: true);

    protected override async ValueTask<ICatalogSource> CreateAsync(string manifests)
    {
        await WriteAsync(manifests);
        return _source = new FileCatalogSource(_folder.FullName, TestEngines.Table);
    }

    protected override async ValueTask ChangeAsync(string manifests)
    {
        await WriteAsync(manifests);
        _source!.Reload();
    }

    private Task WriteAsync(string manifests) => File.WriteAllTextAsync(Path.Combine(_folder.FullName, "all.yaml"), manifests, Token);
}
