using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Dapr;
using Serverless.Hosting.Distributed;
using Serverless.Hosting.Keys;
using Serverless.Requests;
using Serverless.Tenancy;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Parts of the distributed shape that are chosen by configuration.</summary>
public static class DistributedServices
{
    /// <summary>The catalogue: over Redis, and published from <see cref="DistributedOptions.Manifests"/> where this process has a folder of them.</summary>
    public static IServiceCollection AddDistributedCatalog(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        if (configuration[$"{DistributedOptions.Section}:{nameof(DistributedOptions.Manifests)}"] is { Length: > 0 } folder && Directory.Exists(folder)) services.AddRedisCatalogPublisher(folder);
        return services.AddRedisCatalog();
    }

    /// <summary>API keys from the place that <see cref="ApiKeyOptions"/> name; where they name none, none is asked for.</summary>
    public static IServiceCollection AddApiKeys(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        services.AddCheckedOptions<ApiKeyOptions, ApiKeyOptions.Validator, ApiKeyOptions.ValueValidator>(ApiKeyOptions.Section);
        var section = configuration.GetSection(ApiKeyOptions.Section);
        if (section[nameof(ApiKeyOptions.File)] is { Length: > 0 } file)
        {
            services.AddSingleton<IApiKeySource>(provider => ActivatorUtilities.CreateInstance<FileApiKeySource>(provider, file));
        }
        else if (section[nameof(ApiKeyOptions.Secret)] is { Length: > 0 })
        {
            services.AddDaprSecrets();
            services.AddSingleton(provider => ActivatorUtilities.CreateInstance<SecretApiKeySource>(
                provider, (Func<string, CancellationToken, Task<IReadOnlyDictionary<string, string>>>)provider.GetRequiredService<DaprSecrets>().ReadAsync));
            services.AddSingleton<IApiKeySource>(provider => provider.GetRequiredService<SecretApiKeySource>());
            services.AddHostedService(provider => provider.GetRequiredService<SecretApiKeySource>());
        }
        else
        {
            services.AddHostedService<OpenGatewayWarning>();
        }

        return services;
    }

    /// <summary>The bounds of each model's queue, from section <c>Queue</c>.</summary>
    public static IServiceCollection AddQueueLimits(this IServiceCollection services)
    {
        services.AddOptions<QueueLimits>().BindConfiguration(QueueLimits.Section).ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<QueueLimits>, QueueLimitsValidator>());
        services.TryAddSingleton(provider => provider.GetRequiredService<IOptions<QueueLimits>>().Value);
        return services;
    }

    private sealed class QueueLimitsValidator : IValidateOptions<QueueLimits>
    {
        public ValidateOptionsResult Validate(string? name, QueueLimits options) => options.Faults().ToList() is { Count: > 0 } faults ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
    }
}
