using Serverless.Catalog;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Scaling;

/// <summary>A scaler without its face, running on a test's time.</summary>
internal sealed class RunningScaler : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly LeasedPlanner _planner;
    private readonly Task _running;

    public RunningScaler(LeasedPlanner planner, ScalePlans plans, PlanFollower follower)
    {
        (_planner, Plans) = (planner, plans);
        _running = Task.WhenAll(follower.RunAsync(_stop.Token), planner.RunAsync(_stop.Token));
    }

    public ScalePlans Plans { get; }

    public bool Leads => _planner.Leads;

    /// <summary>The first decision that matches, as it is told to those who watch.</summary>
    public Task<ScaleDecision> UntilAsync(Func<ScaleDecision, bool> matches) => Plans.UntilAsync(new PoolName("m-cpu"), matches);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }
}
