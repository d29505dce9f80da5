using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Grpc.Core;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary>One session, at the worker's end.</summary>
internal sealed class GrpcDispatcherLink : IDispatcherLink
{
    private const int OutboxCapacity = 256;

    private static readonly TimeSpan FarewellLimit = TimeSpan.FromSeconds(5);

    private readonly AsyncDuplexStreamingCall<Wire.FromWorker, Wire.FromDispatcher> _call;
    private readonly IDisposable _use;
    private readonly Action _lost;
    private readonly SessionMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationToken _end;
    private readonly Channel<WorkerMessage> _outbox = Channel.CreateBounded<WorkerMessage>(new BoundedChannelOptions(OutboxCapacity) { SingleReader = true });
    private readonly TaskCompletionSource _readToEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _sending;
    private Task? _closing;
    private volatile bool _isRead;

    public GrpcDispatcherLink(AsyncDuplexStreamingCall<Wire.FromWorker, Wire.FromDispatcher> call, long epoch, IDisposable use, Action lost, SessionMetrics metrics, TimeProvider time)
    {
        (_call, Epoch, _use, _lost, _metrics, _time, _end) = (call, epoch, use, lost, metrics, time, _ended.Token);
        _sending = SendAllAsync();
    }

    public long Epoch { get; }

    public async ValueTask<bool> SendAsync(WorkerMessage message, CancellationToken cancellationToken)
    {
        try
        {
            await _outbox.Writer.WriteAsync(message, cancellationToken);
            return true;
        }
        catch (ChannelClosedException)
        {
            return false;
        }
    }

    public async IAsyncEnumerable<DispatcherMessage> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_end, cancellationToken);
        _isRead = true;
        try
        {
            while (await MoveAsync(either.Token, cancellationToken))
            {
                var message = SessionCodec.FromRecord(_call.ResponseStream.Current);
                if (message is null or DispatcherMessage.Unreadable) _metrics.Unread($"{_call.ResponseStream.Current.KindCase}");
                if (message is not null) yield return message;
            }

            _readToEnd.TrySetResult();
        }
        finally
        {
            _isRead = false;
        }
    }

    /// <summary>What was said before still goes out, if that takes no time: the dispatcher ends the stream when it has read to its end.</summary>
    public ValueTask DisposeAsync() => new(_closing ??= CloseAsync());

    private async Task CloseAsync()
    {
        _outbox.Writer.TryComplete();
        using var limit = new CancellationTokenSource(FarewellLimit, _time);
        await _sending.WaitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await (_isRead ? _readToEnd.Task.WaitAsync(limit.Token) : PassOverAsync(limit.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _ended.CancelAsync();
        _call.Dispose();
        await _sending;
        _ended.Dispose();
        _use.Dispose();
        _lost();
    }

    private async Task PassOverAsync(CancellationToken cancellationToken)
    {
        while (await _call.ResponseStream.MoveNext(cancellationToken))
        {
            // Nobody listens any more.
        }
    }

    private async Task SendAllAsync()
    {
        try
        {
            await foreach (var message in _outbox.Reader.ReadAllAsync(_end))
            {
                var record = SessionCodec.ToRecord(message);
                _call.RequestStream.WriteOptions = SessionCodec.Options(record, _outbox.Reader);
                await _call.RequestStream.WriteAsync(record, _end);
            }
            await _call.RequestStream.CompleteAsync();
        }
        catch (Exception exception) when (SessionFaults.Ends(exception))
        {
            _outbox.Writer.TryComplete();
        }
    }

    private async ValueTask<bool> MoveAsync(CancellationToken either, CancellationToken reader)
    {
        try
        {
            if (await _call.ResponseStream.MoveNext(either)) return true;
        }
        catch (Exception exception) when (SessionFaults.Ends(exception))
        {
            reader.ThrowIfCancellationRequested();
        }

        _outbox.Writer.TryComplete();
        return false;
    }
}
