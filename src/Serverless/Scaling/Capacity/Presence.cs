using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Capacity;

/// <summary>The replicas there are of a pool, for the drain: who works now and who will when.</summary>
/// <param name="Ready">Take work.</param>
/// <param name="ReadyIn">Of those on their way and counted on, seconds until each is up, the nearest first.</param>
/// <param name="Overdue">On their way for so long that they are not counted on.</param>
internal sealed record Presence(int Ready, IReadOnlyList<double> ReadyIn, int Overdue)
{
    /// <summary>Loading replicas are counted on for so many cold starts.</summary>
    public const double Expiry = 3;

    /// <summary>Ready and counted on.</summary>
    public int Counted => Ready + ReadyIn.Count;

    public static Presence Of(PoolCapacity capacity, double coldStart, DateTimeOffset now)
    {
        var ready = Math.Clamp(capacity.Ready, 0, PlannerWork.MostReplicas);
        if (capacity.LoadingSince.Count == 0) return new Presence(ready, [], 0);

        var ages = capacity.LoadingSince.Select(since => Math.Max(0, (now - since).TotalSeconds)).ToArray();
        var counted = ages.Where(age => age <= Expiry * coldStart).OrderDescending().Select(age => Math.Max(0, coldStart - age)).ToArray();
        return new Presence(ready, counted, ages.Length - counted.Length);
    }

    /// <summary>This and what another pool's replicas do of the same work, one of them counting as <paramref name="share"/> of one of these; whole ones only.</summary>
    public Presence And(Presence other, double share) => new(
        (int)Math.Min(Ready + (long)(other.Ready * share), PlannerWork.MostReplicas),
        [.. ReadyIn.Concat(other.ReadyIn.Take((int)Math.Min(other.ReadyIn.Count * share, other.ReadyIn.Count))).Order()],
        Overdue);
}
