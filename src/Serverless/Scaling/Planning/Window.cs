using System.Collections.Immutable;

namespace Serverless.Scaling.Planning;

/// <summary>Up at once, down only to the most that was wanted within a window.</summary>
internal static class Window
{
    /// <summary>
    /// The window with one more answer. The largest comes first and each later entry is smaller: an entry no larger than a newer one can never count again, so the bounds of the model
    /// bound the list whatever the rate of plans. Entries from after <paramref name="now"/> are from before the clock jumped back; they age from now.
    /// </summary>
    public static ImmutableArray<WantedReplicas> Add(ImmutableArray<WantedReplicas> recent, int replicas, TimeSpan length, DateTimeOffset now) =>
    [
        .. recent.Where(entry => entry.Replicas > replicas && now - entry.At < length).Select(entry => entry.At > now ? entry with { At = now } : entry),
        new WantedReplicas(now, replicas),
    ];
}
