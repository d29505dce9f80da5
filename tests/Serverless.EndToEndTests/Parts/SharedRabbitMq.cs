using Serverless.EndToEndTests.Parts;

[assembly: AssemblyFixture(typeof(SharedRabbitMq))]

namespace Serverless.EndToEndTests.Parts;

/// <summary>One RabbitMQ for all tests that do it no harm, started when the first of them asks: take it as a constructor's parameter.</summary>
public sealed class SharedRabbitMq : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private Task<RabbitMqServer>? _server;

    /// <summary>The running server; skips the test where RabbitMQ is not installed.</summary>
    internal Task<RabbitMqServer> GetAsync()
    {
        Assert.SkipWhen(RabbitMqServer.Absent is not null, RabbitMqServer.Absent ?? "");
        lock (_lock) return _server ??= RabbitMqServer.StartNewAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is { } server) await (await server).DisposeAsync();
    }
}
