using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Engines;
using Serverless.Hosting.Loading;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers where models come from.</summary>
public static class LoadingServices
{
    /// <summary><see cref="IModelStore"/> over the cache of this machine, as section <c>Models</c> says.</summary>
    public static IServiceCollection AddModelStore(this IServiceCollection services)
    {
        services.AddLogging();
        services.TryAddSingleton(TimeProvider.System);
        services.AddCheckedOptions<ModelOptions, ModelOptions.Validator, ModelOptions.ValueValidator>(ModelOptions.Section);
        services.TryAddSingleton(provider => new ModelStore(provider.GetRequiredService<IOptions<ModelOptions>>().Value, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ModelStore>>()));
        services.TryAddSingleton<IModelStore>(provider => provider.GetRequiredService<ModelStore>());
        services.TryAddSingleton(provider => provider.GetRequiredService<ModelStore>().Cache);
        return services;
    }
}
