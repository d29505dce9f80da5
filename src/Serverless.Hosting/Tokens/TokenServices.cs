using Serverless.Catalog;
using Serverless.Hosting.Loading;
using Serverless.Hosting.Tokens;
using Serverless.Requests;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers what counts tokens.</summary>
public static class TokenServices
{
    /// <summary><see cref="GgufTokenCounter"/> over the catalogue's models, those in this machine's cache among them.</summary>
    public static IServiceCollection AddModelTokenCounter(this IServiceCollection services) =>
        services.AddSingleton<ITokenCounter>(provider => new GgufTokenCounter(provider.GetRequiredService<ICatalogSource>(), provider.GetRequiredService<ModelCache>()));
}
