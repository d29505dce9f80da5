using Serverless.Demand;
using Serverless.EndToEndTests.Chaos;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Redis;

public sealed class RedisDemandFeedTests(SharedRedis redis) : DemandFeedContract, IClassFixture<SharedRedis>, IAsyncDisposable
{
    private readonly List<RedisParts> _parts = [];

    public async ValueTask DisposeAsync()
    {
        foreach (var parts in _parts) await parts.DisposeAsync();
    }

    protected override DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    protected override Task PassAsync(TimeSpan time) => RealTime.PassAsync(time, TestContext.Current.CancellationToken);

    protected override Task RenewedAsync() => RealTime.PassAsync(TimeSpan.FromSeconds(1), TestContext.Current.CancellationToken);

    protected override async ValueTask<(IDemandFeed Publisher, IDemandFeed Reader)> CreateAsync()
    {
        for (var i = 0; i < 2; i++) _parts.Add(await redis.OpenAsync(TestContext.Current.CancellationToken));
        return (await _parts[0].DemandAsync(TestContext.Current.CancellationToken), await _parts[1].DemandAsync(TestContext.Current.CancellationToken));
    }
}
