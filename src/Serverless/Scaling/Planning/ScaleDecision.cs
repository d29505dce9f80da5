using System.Collections;
using Serverless.Catalog;

namespace Serverless.Scaling.Planning;

/// <summary>One decision for one pool, kept with its reasons and inputs. Immutable.</summary>
/// <param name="Pool">Which pool.</param>
/// <param name="At">When.</param>
/// <param name="Replicas">Replicas it should have.</param>
/// <param name="Active">Whether it must not be at zero: work is pending, running, draining, or a replica is loading for it.</param>
/// <param name="Reasons">Why, in words and numbers, the deciding one first.</param>
public sealed record ScaleDecision(PoolName Pool, DateTimeOffset At, int Replicas, bool Active, IReadOnlyList<string> Reasons)
{
    /// <summary>The numbers it was made of; null where none were believed (stale demand) or the pool is not in use.</summary>
    public DecisionInputs? Inputs { get; init; }
}

/// <summary>Reasons that are put into words when they are read first: most decisions repeat the one before, and nobody reads them. Thread-safe.</summary>
internal sealed class LazyReasons(Func<IReadOnlyList<string>> tell) : IReadOnlyList<string>
{
    // Two readers at once put the same numbers into the same words.
    private readonly Lazy<IReadOnlyList<string>> _told = new(tell, LazyThreadSafetyMode.PublicationOnly);

    public int Count => Told.Count;

    public string this[int index] => Told[index];

    private IReadOnlyList<string> Told => _told.Value;

    public IEnumerator<string> GetEnumerator() => Told.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
