using RabbitMQ.Client;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>
/// The one channel of a connection for what is asked of the broker beside messages (declarations, counts), one question after the other. An answer that closes it (there is no such queue)
/// costs a new channel, and so does a question that was not waited for: its answer would be taken for the next one's. Thread-safe.
/// </summary>
internal sealed class ControlChannel(IConnection connection) : IAsyncDisposable
{
    private readonly SemaphoreSlim _gate = new(1, 1);
    private IChannel? _channel;

    public async Task<T> AskAsync<T>(Func<IChannel, Task<T>> question, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (_channel is not { IsOpen: true })
            {
                await CloseAsync();
                _channel = await connection.CreateChannelAsync(cancellationToken: cancellationToken);
            }

            return await question(_channel);
        }
        catch (OperationCanceledException)
        {
            await CloseAsync();
            throw;
        }
        finally
        {
            _gate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _gate.Dispose();
    }

    private async ValueTask CloseAsync()
    {
        if (_channel is not { } channel) return;

        _channel = null;
        try
        {
            await channel.AbortAsync(CancellationToken.None);
            await channel.DisposeAsync();
        }
        catch (Exception exception) when (BrokerFaults.IsOutage(exception))
        {
            // It is closed, then.
        }
    }
}
