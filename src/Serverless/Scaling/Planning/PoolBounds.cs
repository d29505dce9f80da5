using Serverless.Catalog;

namespace Serverless.Scaling.Planning;

/// <summary>A model's bounds hold over all its pools together.</summary>
internal static class PoolBounds
{
    /// <summary>
    /// Fits what pools want, in their ranking, into the bounds. Replicas that only carry the load until preferred ones are up count first, or there would be a gap; while they fill
    /// the bound one of them at a time makes room for a preferred one, so a change of class ends (with a bound of one it waits for a pause).
    /// </summary>
    /// <param name="bounds">The model's.</param>
    /// <param name="wanted">For each pool what it wants and how much of that is only kept.</param>
    public static int[] Fit(ScalingConfig bounds, IReadOnlyList<(int Replicas, int Kept)> wanted)
    {
        var fitted = wanted.Select(pool => pool.Replicas).ToArray();
        if (fitted.Length == 0) return fitted;

        var missing = bounds.MinReplicas - fitted.Sum(replicas => (long)replicas);
        if (missing > 0) fitted[0] += (int)missing;
        if (fitted.Sum(replicas => (long)replicas) <= bounds.MaxReplicas) return fitted;

        var left = bounds.MaxReplicas;
        var makesRoom = bounds.MaxReplicas > 1;
        for (var i = fitted.Length - 1; i > 0; i--)
        {
            if (wanted[i].Kept < fitted[i] || wanted[i].Kept == 0) continue;

            fitted[i] = Math.Min(left, fitted[i] - (makesRoom ? 1 : 0));
            left -= fitted[i];
            makesRoom = false;
        }

        for (var i = 0; i < fitted.Length; i++)
        {
            if (i > 0 && wanted[i].Kept >= wanted[i].Replicas && wanted[i].Kept > 0) continue;

            fitted[i] = Math.Min(left, fitted[i]);
            left -= fitted[i];
        }

        return fitted;
    }
}
