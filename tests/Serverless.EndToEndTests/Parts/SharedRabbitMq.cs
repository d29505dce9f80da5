using Serverless.EndToEndTests.Parts;

[assembly: AssemblyFixture(typeof(SharedRabbitMq))]

namespace Serverless.EndToEndTests.Parts;

/// <summary>One RabbitMQ for all tests that do it no harm, started when the first of them asks: take it as a constructor's parameter.</summary>
public sealed class SharedRabbitMq : IAsyncDisposable
{
    private readonly Lazy<Task<RabbitMqServer>> _server = new(() => RabbitMqServer.StartNewAsync(CancellationToken.None));

    /// <summary>The running server; skips the test where RabbitMQ is not installed.</summary>
    internal Task<RabbitMqServer> GetAsync()
    {
        Assert.SkipWhen(RabbitMqServer.Absent is not null, RabbitMqServer.Absent ?? "");
        return _server.Value;
    }

    public async ValueTask DisposeAsync()
    {
        if (_server.IsValueCreated) await (await _server.Value).DisposeAsync();
    }
}
