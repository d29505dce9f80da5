using Serverless.Catalog;
using Serverless.Hosting.Manifests;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers manifests of a folder.</summary>
public static class ManifestServiceCollectionExtensions
{
    /// <summary><see cref="ICatalogSource"/>: the manifests of a folder, read now and followed while the host runs.</summary>
    /// <exception cref="CatalogException">They are faulty now.</exception>
    public static IServiceCollection AddManifestFolder(this IServiceCollection services, string folder)
    {
        var source = new FileCatalogSource(folder);
        return services.AddSingleton(source).AddSingleton<ICatalogSource>(source).AddHostedService<ManifestWatch>();
    }
}
