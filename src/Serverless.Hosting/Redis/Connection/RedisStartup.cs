using Microsoft.Extensions.Hosting;

namespace Serverless.Hosting.Redis.Connection;

/// <summary>Connects before anything else of the host starts, then starts what reads from Redis. A host whose Redis is absent or unfit does not start.</summary>
internal sealed class RedisStartup(RedisConnection redis, IEnumerable<IRedisPart> parts) : IHostedLifecycleService
{
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        await redis.OpenAsync(cancellationToken);
        foreach (var part in parts) await part.StartAsync(cancellationToken);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
