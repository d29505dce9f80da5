using Serverless.EndToEndTests.Parts;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>What a connection promises, over a real broker.</summary>
public class RabbitMqRequestQueueTests(SharedRabbitMq broker) : RequestQueueContract, IAsyncDisposable
{
    private readonly List<RabbitMqClient> _clients = [];

    protected override bool DepthKnowsTokens => false;

    protected override bool KnowsDuplicates => false;

    protected override IDeadLetters Letters => _clients[^1].Letters;

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients) await client.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected override async ValueTask<IRequestQueue> CreateAsync(QueueLimits limits) => (await ClientAsync(limits)).Queue;

    private protected async Task<RabbitMqClient> ClientAsync(QueueLimits? limits = null)
    {
        var client = new RabbitMqClient(await broker.GetAsync(), limits: limits);
        _clients.Add(client);
        return client;
    }
}
