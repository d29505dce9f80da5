using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.Redis.Connection;

namespace Serverless.EndToEndTests.Redis;

/// <summary>The Redis that the contract suites of this process share: each test takes fresh names. Started by the first; ended with the process.</summary>
public sealed class SharedRedis : IAsyncLifetime
{
    internal RedisServer? Server { get; private set; }

    public async ValueTask InitializeAsync()
    {
        if (RedisServer.Absent is null) Server = await RedisServer.StartNewAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        if (Server is not null) await Server.DisposeAsync();
    }

    /// <summary>A connection of its own; skips the test where there is no Redis.</summary>
    internal async Task<RedisParts> OpenAsync(CancellationToken cancellationToken, Action<RedisOptions>? configure = null)
    {
        Assert.SkipWhen(Server is null, RedisServer.Absent ?? "");
        return await RedisParts.OpenAsync(Server!, cancellationToken, configure);
    }
}
