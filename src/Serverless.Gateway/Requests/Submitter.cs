using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.Telemetry;
using Serverless.Gateway.Waiting;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>Step (b): opens logs and puts requests into their queue, and again where that is needed; holds them meanwhile. Thread-safe.</summary>
internal sealed partial class Submitter(
    IRequestLog log, IRequestQueue queue, QueueView view, HeldRequests held, GatewayMetrics metrics, IOptions<HoldingOptions> options, TimeProvider time, ILogger<Submitter> logger)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <summary>Who holds what is submitted here.</summary>
    public string Holder => held.Holder;

    public Submission NewSubmission() => new(options.Value.AcceptTimeout, options.Value.Silence);

    /// <summary>Opens the log, with some patience for one that cannot be reached: whoever takes the request from the queue must find it. The ticket holds the request from now on.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.StoreUnavailable"/>: the patience or the request's deadline is over.</exception>
    public async Task OpenAsync(Ticket ticket, CancellationToken cancellationToken)
    {
        held.Take(ticket.Id);
        ticket.Holds = true;
        var until = time.GetUtcNow() + options.Value.OpenPatience;
        if (ticket.Head.Deadline < until) until = ticket.Head.Deadline;
        var backoff = new Backoff(FirstPause, LongestPause);
        while (true)
        {
            var pause = backoff.Next();
            try
            {
                await log.OpenAsync(ticket.Id, ticket.Head, cancellationToken);
                return;
            }
            catch (ServingException e) when (e.Fault.Error == ServingError.StoreUnavailable && time.GetUtcNow() + pause < until)
            {
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    /// <summary>Refuses what cannot meet its deadline, and tells the ticket what it waits for.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.DeadlineUnreachable"/>.</exception>
    public void RequireReachable(Ticket ticket, Model model) => ticket.Wait = view.RequireReachable(model, ticket.Request!);

    /// <summary>Into the queue for the first time. A queue that cannot be reached refuses it: nothing was accepted, and the client knows at once.</summary>
    /// <exception cref="ServingException">It is refused.</exception>
    public async Task SubmitAsync(Ticket ticket, CancellationToken cancellationToken)
    {
        var result = await EnqueueAsync(ticket.Request!, cancellationToken);
        if (ticket.Submission!.Submitted(result, time.GetUtcNow()) is { } fault) throw new ServingException(view.WithRetryAfter(fault, ticket.Head.Model));

        ticket.Waits = true;
        metrics.WaitBegan(ticket.Shape.Model);
    }

    /// <summary>Again: the log first, for the store may have lost it. What the caller is to know is in the answer.</summary>
    public async Task<EnqueueResult> ResubmitAsync(Ticket ticket, CancellationToken cancellationToken)
    {
        LogAgain(ticket.Id);
        try
        {
            await log.OpenAsync(ticket.Id, ticket.Head, cancellationToken);
            return await EnqueueAsync(ticket.Request!, cancellationToken);
        }
        catch (ServingException e)
        {
            return new EnqueueResult(e.Fault);
        }
    }

    /// <summary>The caller is done with it: a request that it held and nobody else answers for is ended, queued or running, for nobody would read its output.</summary>
    public Task LeaveAsync(Ticket ticket)
    {
        if (ticket.Waits) metrics.WaitEnded(ticket.Shape.Model);
        ticket.Waits = false;
        return held.LeaveAsync(ticket);
    }

    private async Task<EnqueueResult> EnqueueAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await queue.EnqueueAsync(request, cancellationToken);
        }
        catch (ServingException e)
        {
            return new EnqueueResult(e.Fault);
        }
    }

    [LoggerMessage(LogLevel.Debug, "Submitted {Request} again: it was not accepted in time, or nothing is heard of it.")]
    private partial void LogAgain(RequestId request);
}

/// <summary>
/// When the holder of a request submits it again: no dispatcher accepted it in time, or nothing is heard of it nor of its dispatcher; never otherwise. Each time it waits twice as
/// long. Pure but for what it is told; not thread-safe.
/// </summary>
internal sealed class Submission(TimeSpan acceptTimeout, TimeSpan silence)
{
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestSilence = TimeSpan.FromMinutes(1);

    /// <summary>A dispatcher that is not heard of for longer may be another one when it is heard of again.</summary>
    private static readonly TimeSpan LongestGap = TimeSpan.FromSeconds(6);

    private readonly Backoff _backoff = new(FirstBackOff, LongestBackOff);
    private DateTimeOffset _dueAt = DateTimeOffset.MinValue;
    private TimeSpan _wait = acceptTimeout;
    private bool _accepted;
    private bool _lost;
    private DateTimeOffset? _demandAt;
    private DateTimeOffset _dispatcherHeardAt;

    /// <summary>Whether the queue has had it once: what a later try is told does not matter then.</summary>
    public bool Enqueued { get; private set; }

    /// <summary>Why the last try did not reach the queue; null when it did.</summary>
    public ServingFault? Outage { get; private set; }

    /// <summary>Whether it is time to submit.</summary>
    public bool IsDue(DateTimeOffset now) => _lost || now >= _dueAt;

    /// <summary>It was submitted. Returns why it is refused for good, or null: it is in the queue, or is tried again.</summary>
    public ServingFault? Submitted(EnqueueResult result, DateTimeOffset now)
    {
        if (result.Fault is { } fault && !Enqueued) return fault;

        _lost = false;
        if (result.Fault is null)
        {
            (Enqueued, Outage) = (true, null);
            _backoff.Reset();
            _dueAt = now + _wait;
            _wait = Longer(_wait);
        }
        else
        {
            Outage = result.Fault.Error == ServingError.StoreUnavailable ? result.Fault : null;
            _dueAt = now + _backoff.Next();
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

        (Enqueued, Outage) = (true, null);
        _wait = silence;
        _dueAt = now + silence;
    }

    /// <summary>
    /// Its model's demand was published as of <paramref name="demandAt"/>, so its dispatcher lives: what that has accepted waits behind others, and that is no silence. After a gap
    /// it may be another dispatcher, and it is submitted once more.
    /// </summary>
    public void DispatcherHeard(DateTimeOffset demandAt, DateTimeOffset now)
    {
        if (_demandAt == demandAt) return;

        var gap = _demandAt is null ? TimeSpan.Zero : now - _dispatcherHeardAt;
        (_demandAt, _dispatcherHeardAt) = (demandAt, now);
        if (!_accepted) return;
        if (gap > LongestGap) _dueAt = now;
        else if (_dueAt < now + silence) _dueAt = now + silence;
    }

    /// <summary>Its log is gone from the store: it is submitted anew at once.</summary>
    public void Lost() => _lost = true;

    private static TimeSpan Longer(TimeSpan span) => span * 2 < LongestSilence ? span * 2 : LongestSilence > span ? LongestSilence : span;
}
