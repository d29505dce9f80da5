using Serverless.Loops;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>Brings what the planner writes into <see cref="ScalePlans"/>, and looks after the latch.</summary>
public sealed class PlanFollower(IPlanFeed feed, ScalePlans plans, BelievedDemand demand, Supervisor supervisor, TimeProvider time)
{
    /// <summary>The planner speaks once a second; beyond this something is amiss: the process was stopped, or a link is.</summary>
    private static readonly TimeSpan FreshFor = TimeSpan.FromSeconds(3);

    /// <summary>How long an answer may wait for newer data. KEDA's calls have no deadline, so none may be long.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan FirstLimit = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private Task? _reading;
    private long _triedAt;

    /// <summary>Follows until stopped. Never throws.</summary>
    public Task RunAsync(CancellationToken stoppingToken) => Task.WhenAll(
        supervisor.RunAsync("plan-follower", FollowAsync, stoppingToken),
        supervisor.RunAsync("plan-demand", WatchAsync, stoppingToken),
        supervisor.RunAsync("plan-latch", LatchAsync, stoppingToken));

    /// <summary>
    /// Ends at once while the plan is fresh. Else when it was read anew, or after a quarter of a second (a second while there is none at all): a process that was stopped and wakes does not answer
    /// with what it last knew if it can know better.
    /// </summary>
    public ValueTask FreshAsync() => plans.Age < FreshFor ? default : new(WaitAsync());

    private async Task WaitAsync()
    {
        Task reading;
        lock (_lock)
        {
            if (_reading is null || (_reading.IsCompleted && time.GetElapsedTime(_triedAt) >= Interval)) (_reading, _triedAt) = (ReadAsync(), time.GetTimestamp());
            reading = _reading;
        }

        var known = plans.Known.IsCompleted;
        await (known ? reading : plans.Known).WaitAsync(known ? Limit : FirstLimit, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task ReadAsync()
    {
        using var limit = new CancellationTokenSource(Interval, time);
        try
        {
            if (await feed.ReadAsync(limit.Token) is { } whole) plans.Take(whole);
        }
        catch (Exception)
        {
            // Whatever it is, KEDA is answered with the last plan; the loop that follows the feed tells of it.
        }
    }

    private async Task FollowAsync(CancellationToken stoppingToken)
    {
        await foreach (var update in feed.WatchAsync(stoppingToken)) plans.Take(update);
        throw new InvalidOperationException("The feed of plans ended.");
    }

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        await foreach (var demands in demand.WatchAllAsync(stoppingToken)) plans.Wake(demands.Select(changed => changed.Model));
        throw new InvalidOperationException("The feed of demand ended.");
    }

    private async Task LatchAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time.Aligned());
        while (await timer.WaitForNextTickAsync(stoppingToken)) plans.LookAround();
    }
}
