using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace Serverless.Gateway.Batches;

/// <summary>Lines of one batch that are being asked for: as many as its window says, and no more bytes than a share of memory. Not thread-safe.</summary>
internal sealed class LinesAtOnce(LineWindow window)
{
    /// <summary>Of lines that run, as they stand in the plan, and of their answers, as long as the last ones were; one that is longer runs alone.</summary>
    private const long MostBytes = 32 << 20;

    /// <summary>Of the answers that count, as an average that forgets.</summary>
    private const int Answers = 8;

    private readonly Channel<(Task<LineResult> Ended, int Bytes)> _ended = Channel.CreateUnbounded<(Task<LineResult>, int)>(new UnboundedChannelOptions { SingleReader = true });
    private int _count;
    private long _bytes;
    private long _answer;

    /// <summary>Whether none runs, nor has ended and not been taken.</summary>
    public bool IsEmpty => _count == 0;

    /// <summary>Whether another may begin.</summary>
    public bool HasRoom => _count == 0 || (_count < window.Size && _bytes + (_count * _answer) < MostBytes);

    /// <summary>Has one, which is running.</summary>
    public void Add(Task<LineResult> running, int bytes)
    {
        (_count, _bytes) = (_count + 1, _bytes + bytes);
        _ = running.ContinueWith(ended => _ended.Writer.TryWrite((ended, bytes)), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>So long was an answer.</summary>
    public void Answered(int bytes) => _answer += (bytes - _answer) / Answers;

    /// <summary>One that has ended.</summary>
    public bool TryTake([NotNullWhen(true)] out Task<LineResult>? ended)
    {
        var isThere = _ended.Reader.TryRead(out var one);
        if (isThere) (_count, _bytes) = (_count - 1, _bytes - one.Bytes);
        ended = isThere ? one.Ended : null;
        return isThere;
    }

    /// <summary>Waits until one has ended.</summary>
    public async ValueTask WaitAsync(CancellationToken cancellationToken) => await _ended.Reader.WaitToReadAsync(cancellationToken);
}
