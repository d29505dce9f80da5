using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Cli.Embedded;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.FunctionalTests.Embedded;

/// <summary>The whole platform in one process, as <c>serverless up</c> builds it, on ports of its own.</summary>
internal sealed class EmbeddedUnderTest : IAsyncDisposable
{
    private readonly DirectoryInfo? _folder;

    private EmbeddedUnderTest(WebApplication host, DirectoryInfo? folder)
    {
        (Host, _folder) = (host, folder);
        Client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = EmbeddedHost.Address(host), Timeout = TestTimeouts.Default };
    }

    public WebApplication Host { get; }

    public HttpClient Client { get; }

    public Pool Pool => Host.Services.GetRequiredService<ICatalogSource>().Current.Pools.Single();

    /// <summary>Starts it on the shipped model, or on these manifests.</summary>
    public static async Task<EmbeddedUnderTest> StartAsync(TimeProvider time, string? manifests = null, TimeSpan? cooldown = null, ILoggerProvider? log = null, Action<IServiceCollection>? services = null)
    {
        DirectoryInfo? folder = null;
        if (manifests is not null)
        {
            folder = Directory.CreateTempSubdirectory("serverless-test");
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "model.yaml"), manifests, TestContext.Current.CancellationToken);
        }

        var options = new EmbeddedOptions { Port = 0, Manifests = folder?.FullName, Quiet = true, Cooldown = cooldown ?? TimeSpan.FromMinutes(5) };
        var host = EmbeddedHost.Build(options, builder =>
        {
            builder.Services.AddSingleton(time);
            services?.Invoke(builder.Services);
            if (log is not null) builder.Logging.AddProvider(log);
        });
        await host.StartAsync(TestContext.Current.CancellationToken);
        return new EmbeddedUnderTest(host, folder);
    }

    /// <summary>Writes a file of its manifests, or deletes it.</summary>
    public void Write(string file, string? text)
    {
        var path = Path.Combine(_folder!.FullName, file);
        if (text is null) File.Delete(path);
        else File.WriteAllText(path, text);
    }

    /// <summary>The catalogue once it is as asked for.</summary>
    public Task<ModelCatalog> CatalogAsync(Func<ModelCatalog, bool> wanted) => FirstAsync(Host.Services.GetRequiredService<ICatalogSource>().WatchAsync(TestContext.Current.CancellationToken), wanted);

    /// <summary>The first state of that pool that is as asked for.</summary>
    public Task<PoolCapacity> PoolAsync(string pool, Func<PoolCapacity, bool> wanted) => FirstAsync(Host.Services.GetRequiredService<ICapacityFeed>().WatchAsync(new PoolName(pool), TestContext.Current.CancellationToken), wanted);

    /// <summary>The first state of the pool that is as asked for.</summary>
    public Task<PoolCapacity> PoolAsync(Func<PoolCapacity, bool> wanted) => FirstAsync(Host.Services.GetRequiredService<ICapacityFeed>().WatchAsync(Pool.Name, TestContext.Current.CancellationToken), wanted);

    /// <summary>The first demand that is as asked for.</summary>
    public Task<ModelDemand> DemandAsync(Func<ModelDemand, bool> wanted) => FirstAsync(Host.Services.GetRequiredService<IDemandFeed>().WatchAsync(Pool.Model.Name, TestContext.Current.CancellationToken), wanted);

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Host.StopAsync(CancellationToken.None);
        await Host.DisposeAsync();
        _folder?.Delete(recursive: true);
    }

    private static Task<T> FirstAsync<T>(IAsyncEnumerable<T> values, Func<T, bool> wanted) => values.FirstAsync(wanted, TestContext.Current.CancellationToken).WithinLimitAsync();
}
