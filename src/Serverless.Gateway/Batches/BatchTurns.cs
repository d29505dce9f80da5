using Serverless.Batches;

namespace Serverless.Gateway.Batches;

/// <summary>Whose turn it is where more batches wait than may run: that of the organization that has the fewest, and of its batches the one whose window ends first. Pure.</summary>
internal static class BatchTurns
{
    /// <summary>The one to run next; null: none has to, or may.</summary>
    /// <param name="waiting">Those that nobody runs.</param>
    /// <param name="running">Those that run here.</param>
    /// <param name="most">As many may run.</param>
    /// <param name="now">Windows that are over by now cost no lines, and as many of their batches may run again.</param>
    public static OpenBatch? Next(IReadOnlyCollection<OpenBatch> waiting, IReadOnlyCollection<OpenBatch> running, int most, DateTimeOffset now)
    {
        if (running.Count >= most) waiting = running.Count >= 2 * most ? [] : [.. waiting.Where(batch => batch.ExpiresAt <= now)];
        var counts = Count(running);
        return waiting.MinBy(batch => (counts.GetValueOrDefault(batch.Organization), batch.ExpiresAt, batch.Id));
    }

    /// <summary>The one that makes room, where all places are taken and one organization has two more of them than another that waits; null: none.</summary>
    public static OpenBatch? MakesRoom(IReadOnlyCollection<OpenBatch> waiting, IReadOnlyCollection<OpenBatch> running, int most)
    {
        if (waiting.Count == 0 || running.Count < most) return null;

        var counts = Count(running);
        var fewest = waiting.Min(batch => counts.GetValueOrDefault(batch.Organization));
        var last = running.MaxBy(batch => (counts[batch.Organization], batch.ExpiresAt, batch.Id));
        return last is not null && counts[last.Organization] >= fewest + 2 ? last : null;
    }

    private static Dictionary<string, int> Count(IEnumerable<OpenBatch> batches) => batches.CountBy(batch => batch.Organization, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);
}
