using System.Collections.Concurrent;
using System.Threading.Channels;
using Serverless.Catalog;

namespace Serverless.Dispatching;

/// <summary>Both ends of worker sessions within one process. Thread-safe.</summary>
public sealed class MemoryWorkerSessions : IWorkerSessions, IDispatcherConnector
{
    private const int MaxWaitingWorkers = 1024;

    private readonly ConcurrentDictionary<ModelName, Channel<IWorkerSession>> _arrivals = new();

    /// <inheritdoc/>
    public IAsyncEnumerable<IWorkerSession> AcceptAsync(ModelName model, CancellationToken cancellationToken) => Arrivals(model).Reader.ReadAllAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<IDispatcherLink> ConnectAsync(WorkerDescription worker, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(worker);
        var session = new MemorySession(worker);
        await Arrivals(worker.Model).Writer.WriteAsync(session, cancellationToken);
        return session;
    }

    private Channel<IWorkerSession> Arrivals(ModelName model) =>
        _arrivals.GetOrAdd(model, _ => Channel.CreateBounded<IWorkerSession>(new BoundedChannelOptions(MaxWaitingWorkers)));

    private sealed class MemorySession(WorkerDescription worker) : IWorkerSession, IDispatcherLink
    {
        // An assign and its cancel per slot, and room for the rest: a worker that reads never lets it fill.
        private readonly Channel<DispatcherMessage> _toWorker = Channel.CreateBounded<DispatcherMessage>(new BoundedChannelOptions((4 * worker.Slots) + 64) { SingleReader = true });
        private readonly Channel<WorkerMessage> _toDispatcher = Channel.CreateBounded<WorkerMessage>(new BoundedChannelOptions((4 * worker.Slots) + 64) { SingleReader = true });

        public WorkerDescription Worker => worker;

        public bool TrySend(DispatcherMessage message) => _toWorker.Writer.TryWrite(message);

        IAsyncEnumerable<WorkerMessage> IWorkerSession.ReadAsync(CancellationToken cancellationToken) => _toDispatcher.Reader.ReadAllAsync(cancellationToken);

        IAsyncEnumerable<DispatcherMessage> IDispatcherLink.ReadAsync(CancellationToken cancellationToken) => _toWorker.Reader.ReadAllAsync(cancellationToken);

        public async ValueTask<bool> SendAsync(WorkerMessage message, CancellationToken cancellationToken)
        {
            try
            {
                await _toDispatcher.Writer.WriteAsync(message, cancellationToken);
                return true;
            }
            catch (ChannelClosedException)
            {
                return false;
            }
        }

        public ValueTask DisposeAsync()
        {
            _toWorker.Writer.TryComplete();
            _toDispatcher.Writer.TryComplete();
            return ValueTask.CompletedTask;
        }
    }
}
