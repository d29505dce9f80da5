using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Holding;

/// <summary>
/// When the holder of a request submits it again: the queue was not to be had, no dispatcher accepted it in time, or nothing is heard of it; never otherwise.
/// Each time it waits twice as long. Pure but for what it is told; not thread-safe.
/// </summary>
internal sealed class Submission(TimeSpan acceptTimeout, TimeSpan silence)
{
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestSilence = TimeSpan.FromMinutes(1);

    private DateTimeOffset _dueAt = DateTimeOffset.MinValue;
    private TimeSpan _backOff = FirstBackOff;
    private TimeSpan _wait = acceptTimeout;
    private bool _accepted;

    /// <summary>Whether the queue has had it once: what a later try is told does not matter then.</summary>
    public bool Enqueued { get; private set; }

    /// <summary>Whether it is time to submit.</summary>
    public bool IsDue(DateTimeOffset now) => now >= _dueAt;

    /// <summary>It was submitted. Returns why it is refused for good, or null: it is in the queue, or is tried again.</summary>
    public ServingFault? Submitted(EnqueueResult result, DateTimeOffset now)
    {
        if (result.Fault is { Error: not ServingError.StoreUnavailable } fault && !Enqueued) return fault;

        if (result.Fault is null)
        {
            Enqueued = true;
            _backOff = FirstBackOff;
            _dueAt = now + _wait;
            _wait = Longer(_wait, LongestSilence);
        }
        else
        {
            _dueAt = now + _backOff;
            _backOff = Longer(_backOff, LongestBackOff);
        }

        return null;
    }

    /// <summary>It was submitted by another, its twin.</summary>
    public void Joined(DateTimeOffset now) => Submitted(EnqueueResult.Enqueued, now);

    /// <summary>Something was heard of it.</summary>
    public void Heard(RequestEvent logged, DateTimeOffset now)
    {
        _accepted |= logged is RequestEvent.Accepted or RequestEvent.Started or RequestEvent.Chunk;
        if (!_accepted) return;

        Enqueued = true;
        _wait = silence;
        _dueAt = now + silence;
    }

    /// <summary>Its log is gone from the store: it is submitted anew at once.</summary>
    public void Lost() => _dueAt = DateTimeOffset.MinValue;

    private static TimeSpan Longer(TimeSpan span, TimeSpan limit) => span * 2 < limit ? span * 2 : limit > span ? limit : span;
}
