using Serverless.Hosting.Redis.Connection;
using Serverless.Requests;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

public sealed class RedisRequestLogContractTests(SharedRedis redis) : RequestLogHoldContract, IClassFixture<SharedRedis>, IAsyncDisposable
{
    private RedisParts? _parts;

    public async ValueTask DisposeAsync()
    {
        if (_parts is not null) await _parts.DisposeAsync();
    }

    protected override async ValueTask<IRequestLog> CreateAsync() => (_parts = await redis.OpenAsync(Token, options => options.MaxOutputBytes = SmallOutput)).Log();

    // Both keys carry the deadline and the retention as their expiry; what Redis does then is to delete them.
    protected override async ValueTask ExpireAsync(IRequestLog log, RequestId id)
    {
        var keep = (TestRequests.Deadline + new RedisOptions().LogRetention).ToUnixTimeMilliseconds();
        foreach (var key in new[] { $"serverless:head:{id}", $"serverless:events:{id}" })
        {
            (await redis.Server!.CommandAsync($"PEXPIRETIME {key}", Token)).ShouldBe($":{keep}");
            await redis.Server.CommandAsync($"PEXPIREAT {key} 1", Token);
        }
    }
}
