using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Hosting.Loading;
using Serverless.Hosting.Manifests;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers manifests of a folder.</summary>
public static class ManifestServiceCollectionExtensions
{
    /// <summary><see cref="ICatalogSource"/>: the manifests of a folder, read when it is first asked for and followed while the host runs. The host brings the engines (<see cref="EngineTable"/>).</summary>
    /// <remarks>Whoever asks for the source first gets a <see cref="CatalogException"/> where they are faulty.</remarks>
    public static IServiceCollection AddManifestFolder(this IServiceCollection services, string folder)
    {
        services.AddSingleton(provider => new FileCatalogSource(folder, provider.GetRequiredService<EngineTable>(), provider.GetService<ModelCache>()));
        return services.AddSingleton<ICatalogSource>(provider => provider.GetRequiredService<FileCatalogSource>()).AddHostedService<ManifestWatch>();
    }
}
