using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Serverless.Files;
using Serverless.Hosting.Files;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts files into a host.</summary>
public static class FileServices
{
    /// <summary><see cref="FileDirectory"/> over the host's documents and the place that section <c>Files</c> names.</summary>
    public static IServiceCollection AddFiles(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddCheckedOptions<FileStoreOptions, FileStoreOptions.Validator, FileStoreOptions.ValueValidator>(FileStoreOptions.Section);
        services.TryAddSingleton(provider => provider.GetRequiredService<IOptions<FileStoreOptions>>().Value.Limits());
        services.TryAddSingleton(Create);
        services.TryAddSingleton<FileDirectory>();
        services.TryAddSingleton<FileSweep>();
        return services;
    }

    /// <summary>Where files are when nobody says.</summary>
    public static IServiceCollection AddFilesFolder(this IServiceCollection services, Func<IServiceProvider, string> folder)
    {
        services.AddOptions<FileStoreOptions>().PostConfigure<IServiceProvider>((options, provider) =>
        {
            if (string.IsNullOrEmpty(options.S3.Bucket) && string.IsNullOrEmpty(options.Directory)) options.Directory = folder(provider);
        });
        return services;
    }

    private static IFileStore Create(IServiceProvider provider)
    {
        var (options, time) = (provider.GetRequiredService<IOptions<FileStoreOptions>>().Value, provider.GetRequiredService<TimeProvider>());
        if (options.S3.Bucket is { Length: > 0 }) return new S3FileStore(options.S3, time);
        return options.Directory is { Length: > 0 } directory ? new LocalFileStore(directory, time) : new AbsentFileStore();
    }
}
