using RabbitMQ.Client;
using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>A client that is not ours: publishes what we never would, and sees messages as the broker has them.</summary>
internal sealed class RawBroker : IAsyncDisposable
{
    private readonly IConnection _connection;

    private RawBroker(IConnection connection) => _connection = connection;

    public static async Task<RawBroker> ConnectAsync(RabbitMqServer server, CancellationToken cancellationToken) =>
        new(await new ConnectionFactory { Uri = server.Url }.CreateConnectionAsync(cancellationToken));

    /// <summary>Publishes to a queue and waits for the confirm.</summary>
    public async Task PublishAsync(string queue, BasicProperties properties, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        await using var channel = await _connection.CreateChannelAsync(new CreateChannelOptions(true, true), cancellationToken);
        await channel.BasicPublishAsync("", queue, mandatory: true, properties, body, cancellationToken);
    }

    /// <summary>The message at the head of a queue, put back at once; null: it is empty.</summary>
    public async Task<BasicGetResult?> PeekAsync(string queue, CancellationToken cancellationToken)
    {
        await using var channel = await _connection.CreateChannelAsync(cancellationToken: cancellationToken);
        return await channel.BasicGetAsync(queue, autoAck: false, cancellationToken);
    }

    public async Task DeclareAsync(string queue, IDictionary<string, object?> arguments, CancellationToken cancellationToken)
    {
        await using var channel = await _connection.CreateChannelAsync(cancellationToken: cancellationToken);
        await channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, arguments, cancellationToken: cancellationToken);
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
