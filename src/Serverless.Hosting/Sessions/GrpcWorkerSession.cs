using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Grpc.Core;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary>One worker's session, at the dispatcher's end. It ends when either side closes it, the connection breaks, or the worker does not answer pings.</summary>
internal sealed class GrpcWorkerSession : IWorkerSession, IDisposable
{
    private readonly IAsyncStreamReader<Wire.FromWorker> _incoming;
    private readonly SessionMetrics _metrics;
    private readonly CancellationTokenSource _ended;
    private readonly CancellationToken _end;
    private readonly Channel<DispatcherMessage> _outbox;

    public GrpcWorkerSession(WorkerDescription worker, IAsyncStreamReader<Wire.FromWorker> incoming, SessionMetrics metrics, CancellationToken cancellationToken)
    {
        (Worker, _incoming, _metrics) = (worker, incoming, metrics);
        _ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _end = _ended.Token;

        // An assign and its cancel per slot, and room for the rest: a worker that reads never lets it fill.
        _outbox = Channel.CreateBounded<DispatcherMessage>(new BoundedChannelOptions((4 * worker.Slots) + 64) { SingleReader = true });
    }

    public WorkerDescription Worker { get; }

    public bool TrySend(DispatcherMessage message) => !_end.IsCancellationRequested && _outbox.Writer.TryWrite(message);

    /// <summary>What is in the outbox still goes out.</summary>
    public void Close() => _outbox.Writer.TryComplete();

    public async IAsyncEnumerable<WorkerMessage> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_end, cancellationToken);
        while (await MoveAsync(either.Token, cancellationToken))
        {
            if (SessionCodec.FromRecord(_incoming.Current) is { } message) yield return message;
            else _metrics.Unread($"{_incoming.Current.KindCase}");
        }
    }

    /// <summary>Sends what is put into the outbox until the session ends.</summary>
    public async Task SendAllAsync(IAsyncStreamWriter<Wire.FromDispatcher> outgoing)
    {
        try
        {
            await foreach (var message in _outbox.Reader.ReadAllAsync(_end))
            {
                var record = SessionCodec.ToRecord(message);
                outgoing.WriteOptions = SessionCodec.Options(record, _outbox.Reader);
                await outgoing.WriteAsync(record, _end);
            }
        }
        catch (Exception exception) when (SessionFaults.Ends(exception))
        {
        }
        finally
        {
            _outbox.Writer.TryComplete();
            await _ended.CancelAsync();
        }
    }

    public void Dispose() => _ended.Dispose();

    private async ValueTask<bool> MoveAsync(CancellationToken either, CancellationToken reader)
    {
        try
        {
            if (await _incoming.MoveNext(either)) return true;
        }
        catch (Exception exception) when (SessionFaults.Ends(exception))
        {
            reader.ThrowIfCancellationRequested();
        }

        Close();
        return false;
    }
}
