using System.Runtime.CompilerServices;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Follows a request's log to its end, through outages of its store: what cannot be read now is read later, and meanwhile the clock ticks on. Events may come again after an
/// outage; whoever renders them goes by the positions of their tokens.
/// </summary>
internal sealed class LogFollower(IRequestLog log, TimeProvider time)
{
    /// <param name="id">The request.</param>
    /// <param name="firstTick">The first tick comes after this long.</param>
    /// <param name="interval">The others.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async IAsyncEnumerable<FollowStep> FollowAsync(RequestId id, TimeSpan firstTick, TimeSpan interval, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var ticks = new PeriodicTimer(firstTick, time);
        var clock = new Clock(ticks, interval, cancellationToken);
        for (var last = 0L; ;)
        {
            ServingFault? outage = null;
            await using (var reader = new Reader(log, id, last, cancellationToken))
            {
                while (true)
                {
                    bool moved;
                    var next = reader.MoveAsync();
                    if (next.IsCompleted)
                    {
                        (moved, outage) = await next;
                    }
                    else
                    {
                        var moving = reader.WaitAsync(next);
                        yield return new FollowStep(FollowKind.Idle);
                        while (!moving.IsCompleted && await Task.WhenAny(moving, clock.Tick) == clock.Tick)
                        {
                            await clock.TickedAsync();
                            yield return new FollowStep(FollowKind.Tick);
                        }

                        (moved, outage) = await moving;
                    }

                    if (!moved) break;

                    last = reader.Current.Sequence;
                    yield return new FollowStep(FollowKind.Event, reader.Current);
                    if (reader.Current.Event.IsTerminal) yield break;
                }
            }

            // A log that was read to its end, yet has none that we saw, went back: it is read from the start.
            if (outage is not { Error: ServingError.StoreUnavailable }) last = 0;
            if (outage is { Error: not ServingError.StoreUnavailable }) yield return new FollowStep(FollowKind.Gone, Fault: outage);

            await clock.Tick;
            await clock.TickedAsync();
            yield return new FollowStep(FollowKind.Tick, Fault: outage);
        }
    }

    private sealed class Clock(PeriodicTimer ticks, TimeSpan interval, CancellationToken cancellationToken)
    {
        public Task<bool> Tick { get; private set; } = ticks.WaitForNextTickAsync(cancellationToken).AsTask();

        /// <summary>Throws when the wait was cancelled, else waits for the next.</summary>
        public async ValueTask TickedAsync()
        {
            await Tick;
            ticks.Period = interval;
            Tick = ticks.WaitForNextTickAsync(cancellationToken).AsTask();
        }
    }

    /// <summary>One reading of the log, up to an outage; an enumerator must not be disposed while it moves.</summary>
    private sealed class Reader : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop;
        private readonly IAsyncEnumerator<LoggedEvent> _events;
        private Task<(bool Moved, ServingFault? Outage)>? _moving;

        public Reader(IRequestLog log, RequestId id, long after, CancellationToken cancellationToken)
        {
            _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            _events = log.FollowAsync(id, after, _stop.Token).GetAsyncEnumerator(_stop.Token);
        }

        public LoggedEvent Current => _events.Current;

        /// <summary>The next event, or why there is none now. Costs nothing where there is one.</summary>
        public async ValueTask<(bool Moved, ServingFault? Outage)> MoveAsync()
        {
            try
            {
                return (await _events.MoveNextAsync(), null);
            }
            catch (ServingException e)
            {
                return (false, e.Fault);
            }
        }

        /// <summary>A move that is not done yet.</summary>
        public Task<(bool Moved, ServingFault? Outage)> WaitAsync(ValueTask<(bool Moved, ServingFault? Outage)> moving) => _moving = moving.AsTask();

        public async ValueTask DisposeAsync()
        {
            if (_moving is { IsCompleted: false } moving)
            {
                await _stop.CancelAsync();
                await ((Task)moving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await _events.DisposeAsync();
            _stop.Dispose();
        }
    }
}

/// <summary>One thing that happens to whoever follows a request.</summary>
/// <param name="Kind">What.</param>
/// <param name="Logged">The event, of <see cref="FollowKind.Event"/>.</param>
/// <param name="Fault">Of a tick: what cannot be reached now, or null. Of <see cref="FollowKind.Gone"/> and <see cref="FollowKind.Failed"/>: what a client is told.</param>
internal readonly record struct FollowStep(FollowKind Kind, LoggedEvent Logged = default, ServingFault? Fault = null);

/// <summary>What happens to whoever follows a request.</summary>
internal enum FollowKind
{
    /// <summary>The log has another event.</summary>
    Event,

    /// <summary>It has no more for now: what was read can be sent.</summary>
    Idle,

    /// <summary>Time has passed without one.</summary>
    Tick,

    /// <summary>The store holds no such log: it expired, or the store lost it.</summary>
    Gone,

    /// <summary>An id promises it now: its answer comes by that. The last one.</summary>
    ById,

    /// <summary>It will not be answered here, or not to its end. The last one.</summary>
    Failed,
}
