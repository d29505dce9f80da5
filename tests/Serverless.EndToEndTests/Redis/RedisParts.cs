using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.Redis.Connection;
using Serverless.Hosting.Redis.Feeds;
using Serverless.Hosting.Redis.Leases;
using Serverless.Hosting.Redis.Log;
using Serverless.Loops;

namespace Serverless.EndToEndTests.Redis;

/// <summary>One process' connection to a test's Redis, and what is built on it; all of it ends with the test.</summary>
internal sealed class RedisParts : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _parts = [];

    private RedisParts(RedisConnection connection) => Connection = connection;

    public RedisConnection Connection { get; }

    /// <summary>What this process runs in the background.</summary>
    public Supervisor Loops { get; } = new(TimeProvider.System, NoLoopObserver.Instance);

    public static Task<RedisParts> OpenAsync(RedisServer server, CancellationToken cancellationToken, Action<RedisOptions>? configure = null) => OpenAsync(server.Configuration, cancellationToken, configure);

    public static async Task<RedisParts> OpenAsync(string configuration, CancellationToken cancellationToken, Action<RedisOptions>? configure = null)
    {
        var options = new RedisOptions { Configuration = configuration, StartTimeout = TestTimeouts.Default };
        configure?.Invoke(options);
        var connection = new RedisConnection(Options.Create(options), TimeProvider.System, NullLogger<RedisConnection>.Instance);
        try
        {
            await connection.OpenAsync(cancellationToken);
            return new RedisParts(connection);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public RedisRequestLog Log() => new(Connection, Keep(new RedisFollowers(Connection, Loops, TimeProvider.System, NullLogger<RedisFollowers>.Instance)));

    public RedisLeases Leases() => new(Connection);

    public async Task<RedisDemandFeed> DemandAsync(CancellationToken cancellationToken) =>
        await StartAsync(new RedisDemandFeed(Connection, Loops, TimeProvider.System, NullLogger<RedisDemandFeed>.Instance), cancellationToken);

    public async Task<RedisCapacityFeed> CapacityAsync(CancellationToken cancellationToken) =>
        await StartAsync(new RedisCapacityFeed(Connection, Loops, TimeProvider.System, NullLogger<RedisCapacityFeed>.Instance), cancellationToken);

    public async Task<T> StartAsync<T>(T part, CancellationToken cancellationToken)
        where T : IRedisPart, IAsyncDisposable
    {
        Keep(part);
        await part.StartAsync(cancellationToken);
        return part;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var part in _parts) await part.DisposeAsync();
        await Connection.DisposeAsync();
    }

    private T Keep<T>(T part)
        where T : IAsyncDisposable
    {
        _parts.Add(part);
        return part;
    }
}
