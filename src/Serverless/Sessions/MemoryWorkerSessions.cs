using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Serverless.Catalog;

namespace Serverless.Sessions;

/// <summary>Both ends of worker sessions within one process. Thread-safe.</summary>
public sealed class MemoryWorkerSessions : IWorkerSessions, IDispatcherConnector
{
    private const int MaxWaitingWorkers = 1024;

    private readonly ConcurrentDictionary<ModelName, Channel<MemorySession>> _arrivals = new();

    /// <inheritdoc/>
    public async IAsyncEnumerable<IWorkerSession> AcceptAsync(ModelName model, long epoch, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var session in Arrivals(model).Reader.ReadAllAsync(cancellationToken))
        {
            if (session.TryWelcome(epoch)) yield return session;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IDispatcherLink> ConnectAsync(WorkerDescription worker, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(worker);
        while (true)
        {
            var session = new MemorySession(worker);
            await Arrivals(worker.Model).Writer.WriteAsync(session, cancellationToken);
            if (await session.WelcomedAsync(cancellationToken)) return session;
        }
    }

    private Channel<MemorySession> Arrivals(ModelName model) =>
        _arrivals.GetOrAdd(model, _ => Channel.CreateBounded<MemorySession>(new BoundedChannelOptions(MaxWaitingWorkers)));

    private sealed class MemorySession(WorkerDescription worker) : IWorkerSession, IDispatcherLink
    {
        // An assign and its cancel per slot, and room for the rest: a worker that reads never lets it fill.
        private readonly Channel<DispatcherMessage> _toWorker = Channel.CreateBounded<DispatcherMessage>(new BoundedChannelOptions((4 * worker.Slots) + 64) { SingleReader = true });
        private readonly Channel<WorkerMessage> _toDispatcher = Channel.CreateBounded<WorkerMessage>(new BoundedChannelOptions((4 * worker.Slots) + 64) { SingleReader = true });

        private readonly TaskCompletionSource<bool> _welcomed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public WorkerDescription Worker => worker;

        public long Epoch { get; private set; }

        /// <summary>Whether the worker takes a dispatcher of that epoch, and still waits.</summary>
        public bool TryWelcome(long epoch)
        {
            Epoch = epoch;
            return _welcomed.TrySetResult(epoch >= worker.HighestEpoch) && epoch >= worker.HighestEpoch;
        }

        public async ValueTask<bool> WelcomedAsync(CancellationToken cancellationToken)
        {
            using var gaveUp = cancellationToken.Register(() => _welcomed.TrySetCanceled(cancellationToken));
            return await _welcomed.Task;
        }

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

        public void Close()
        {
            _toWorker.Writer.TryComplete();
            _toDispatcher.Writer.TryComplete();
        }

        public ValueTask DisposeAsync()
        {
            Close();
            return ValueTask.CompletedTask;
        }
    }
}
