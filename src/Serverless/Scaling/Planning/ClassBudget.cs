namespace Serverless.Scaling.Planning;

/// <summary>
/// Shares a class's replicas out between the pools that want them, as water fills vessels: what is held stays, then each further replica goes to the pool with the smallest share of its want.
/// So whoever works gets a first replica before anybody gets a second, and backlogs that cannot be met in time are late by the same factor. Pure; equal claims are told apart by name.
/// </summary>
public static class ClassBudget
{
    /// <summary>What each claim is granted: never more than it wants, never less than it holds; together at most <paramref name="budget"/>, or what is held where that is more.</summary>
    public static int[] Fill(IReadOnlyList<BudgetClaim> claims, int budget)
    {
        ArgumentNullException.ThrowIfNull(claims);
        var granted = claims.Select(claim => Math.Clamp(claim.Held, 0, Math.Max(0, claim.Wanted))).ToArray();
        var left = budget - granted.Sum(count => (long)count);
        var lowest = new PriorityQueue<int, (double Share, string Name)>();
        for (var i = 0; i < claims.Count; i++) Offer(i);
        for (; left > 0 && lowest.TryDequeue(out var next, out _); left--)
        {
            granted[next]++;
            Offer(next);
        }

        return granted;

        void Offer(int claim)
        {
            if (granted[claim] < claims[claim].Wanted) lowest.Enqueue(claim, ((double)granted[claim] / claims[claim].Wanted, claims[claim].Pool.Value));
        }
    }
}
