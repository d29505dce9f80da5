namespace Serverless.Scaling.Plans;

/// <summary>Port: the plan, from the one scaler that has the planner's lease to all that serve it. It outlives planners: the next one continues from what the last one wrote. In memory; Redis.</summary>
/// <remarks>A store that cannot be reached: <see cref="WriteAsync"/> and <see cref="ReadAsync"/> throw <see cref="Errors.ServingException"/> with <see cref="Errors.ServingError.StoreUnavailable"/> after a bounded time.</remarks>
public interface IPlanFeed
{
    /// <summary>Writes these plans beside those of other models; none is a sign of life. False: a planner of a later epoch has written, and nothing was changed.</summary>
    /// <param name="epoch">Of the planner's lease.</param>
    /// <param name="at">When the plans were made.</param>
    /// <param name="plans">The plans that changed.</param>
    /// <param name="cancellationToken">Stops waiting; the plans may have been written.</param>
    ValueTask<bool> WriteAsync(long epoch, DateTimeOffset at, IReadOnlyCollection<SharedPlan> plans, CancellationToken cancellationToken);

    /// <summary>All plans as they are now; null when none was ever written.</summary>
    ValueTask<PlanUpdate?> ReadAsync(CancellationToken cancellationToken);

    /// <summary>All plans, then each update in order; a slow reader, or one that lost the store for a while, sees the latest of each model. Waits for a store that cannot be reached.</summary>
    IAsyncEnumerable<PlanUpdate> WatchAsync(CancellationToken cancellationToken);
}
