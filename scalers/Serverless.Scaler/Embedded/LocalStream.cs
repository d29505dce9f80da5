using Grpc.Core;

namespace Serverless.Scaler.Embedded;

/// <summary>Hands each message of a server stream to a function of this process.</summary>
internal sealed class LocalStream<T>(Func<T, CancellationToken, Task> receive) : IServerStreamWriter<T>
{
    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(T message) => receive(message, CancellationToken.None);

    public Task WriteAsync(T message, CancellationToken cancellationToken) => receive(message, cancellationToken);
}
