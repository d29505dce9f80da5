using Serverless.Catalog;
using Serverless.Demand;

namespace Serverless.Dispatching;

/// <summary>
/// Turns a dispatcher's state into <see cref="ModelDemand"/>: at once when work comes or goes (that it went ten times a second at most), ten times a second while there is some, once a
/// second while its rates fade, and a last time when it falls asleep; from then on its gateway renews it with all others (<see cref="IDemandFeed.Renew"/>). Not thread-safe.
/// </summary>
internal sealed class DemandPublisher(ModelName model, IDemandFeed feed, TimeProvider time)
{
    private const int MostOrganizations = 32;

    private static readonly TimeSpan BusyInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan IdleInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Never = TimeSpan.FromDays(-1);

    private readonly ArrivalRate _prompt = new();
    private readonly ArrivalRate _output = new();
    private readonly ArrivalRate _requests = new();
    private readonly ArrivalRate _recent = new(5);
    private readonly ServedRate _served = new();
    private readonly long _begun = time.GetTimestamp();
    private TimeSpan _publishedAt = Never; // since it began: a clock that is set back keeps nothing back
    private TimeSpan _wentAt = Never;
    private bool _hadWork;
    private bool _wasLast;

    /// <summary>Whether it is yet to be told that the work went: short requests one after the other come and go hundreds of times a second, and each change is planned for.</summary>
    public bool IsOwed { get; private set; }

    /// <summary>What requests take at replicas.</summary>
    public RunTimes Runs { get; } = new();

    public void Arrived(int promptTokens, int outputTokens, DateTimeOffset now)
    {
        _prompt.Add(promptTokens, now);
        _output.Add(outputTokens, now);
        _requests.Add(1, now);
        _recent.Add(promptTokens, now);
    }

    public void Served(long tokens) => _served.Add(tokens);

    /// <summary>When what waits now is worked off at the rate of late; null while that is not known.</summary>
    public TimeSpan? DrainTime(Backlog backlog) =>
        _served.PerSecond > 0 ? TimeSpan.FromSeconds(Math.Clamp((backlog.PromptTokens + backlog.OutputTokens) / _served.PerSecond, 1, 60)) : null;

    /// <summary>Whether so little came of late that it says nothing of what will: fewer than one request in a quarter of an hour.</summary>
    public bool HasFaded(DateTimeOffset now) => _requests.PerSecond(now) < 0.001;

    /// <summary>Publishes what is to be known now.</summary>
    /// <param name="backlog">Requests that wait.</param>
    /// <param name="tracked">Those and the ones that run.</param>
    /// <param name="replicas">The workers.</param>
    /// <param name="outputShare">See <see cref="ModelDemand.OutputShare"/>.</param>
    /// <param name="isLast">Whether the dispatcher falls asleep with that: nothing arrives, and it says so.</param>
    public void Publish(Backlog backlog, int tracked, IReadOnlyList<ReplicaState> replicas, double outputShare = 1, bool isLast = false)
    {
        if (isLast && _wasLast) return;

        var passed = time.GetElapsedTime(_begun); // before the time that is told: what is due from then on is never held back by this
        var now = time.GetUtcNow();
        var hasWork = tracked > 0 || replicas.Any(replica => replica.Claims.Count > 0);
        _served.Tick(passed, hasWork && replicas.Any(replica => !replica.Worker.Loading)); // what waits for a start says nothing of how fast it is worked off
        IsOwed = _hadWork && !hasWork && !isLast && passed - _wentAt < BusyInterval;
        if (IsOwed || (hasWork == _hadWork && isLast == _wasLast && passed - _publishedAt < (hasWork ? BusyInterval : IdleInterval))) return;

        if (_hadWork && !hasWork) _wentAt = passed;
        (_publishedAt, _hadWork, _wasLast) = (passed, hasWork, isLast);
        feed.Publish(new ModelDemand
        {
            Model = model,
            At = now,
            PendingRequests = backlog.Count,
            PendingPromptTokens = backlog.PromptTokens,
            PendingOutputTokens = backlog.OutputTokens,
            PendingTokensByLane = backlog.TokensByLane,
            PendingBytes = backlog.Bytes,
            PendingByOrganization = backlog.Organizations(MostOrganizations),
            OldestPendingAt = backlog.OldestAt,
            RunningRequests = replicas.Sum(replica => replica.Running.Count + replica.Claims.Count),
            RunningTokens = replicas.Sum(replica => replica.ReservedTokens),
            RunningOutputTokens = replicas.Sum(replica => replica.Running.Values.Sum(request => (long)request.Entry.ExpectedOutputTokens)),
            PendingSequences = backlog.Sequences,
            RunningSequences = replicas.Sum(replica => replica.Taken),
            PromptTokensPerSecond = isLast ? 0 : _prompt.PerSecond(now),
            OutputTokensPerSecond = isLast ? 0 : _output.PerSecond(now),
            RequestsPerSecond = isLast ? 0 : _requests.PerSecond(now),
            OutputShare = outputShare,
            RecentPromptTokensPerSecond = isLast ? 0 : _recent.PerSecond(now),
            Deferred = backlog.Due.Batch,
            EarliestDeadline = backlog.Due.EarliestWaited,
            ServedTokensPerSecond = _served.PerSecond,
            RunSeconds = Runs.Seconds,
            RunOutputTokens = Runs.OutputTokens,
            Replicas = [.. replicas.Select(Snapshot)],
        });
    }

    private static ReplicaDemand Snapshot(ReplicaState replica) => new(
        replica.Worker.Worker,
        replica.Worker.Pool,
        replica.Draining,
        replica.Running.Count + replica.Claims.Count,
        replica.Worker.Slots,
        replica.Load.KvUsedTokens,
        replica.Worker.KvCapacityTokens,
        replica.Load.PrefillTokensPerSecond,
        replica.Load.DecodeTokensPerSecond)
    {
        CachedPromptShare = replica.Load.CachedPromptShare,
        Loading = replica.Worker.Loading,
        Since = replica.Worker.Since,
        LoadingProgress = replica.Load.LoadingProgress,
        Pulling = replica.Load.Pulling,
        Sequences = replica.Taken,
    };
}
