namespace Serverless.Scaling.Plans;

/// <summary>What a planner wrote at once. Immutable.</summary>
/// <param name="Epoch">Of the planner's lease.</param>
/// <param name="Sequence">Of the store: higher than that of every earlier update.</param>
/// <param name="At">When, by the planner's clock: every model's plan, also one that is not among <paramref name="Plans"/>, was right then.</param>
/// <param name="Plans">The plans that are new; all there are, in an answer to <see cref="IPlanFeed.ReadAsync"/>.</param>
public sealed record PlanUpdate(long Epoch, long Sequence, DateTimeOffset At, IReadOnlyCollection<SharedPlan> Plans)
{
    /// <summary>Whether <paramref name="other"/> was written after this.</summary>
    public bool IsOlderThan(PlanUpdate? other) => other is not null && (Epoch < other.Epoch || (Epoch == other.Epoch && Sequence < other.Sequence));
}
