namespace Serverless.Scaling.Planning;

/// <summary>
/// Shares replicas out as water fills vessels: what is held comes first, then each further replica goes to the vessel with the smallest share of its want. So whoever wants gets one before anybody gets
/// two, and what cannot be met is missed by the same factor. A model's bounds are shared out between its roles by it, a role's part between its pools, and a class's budget between models. Pure.
/// </summary>
internal static class WaterFilling
{
    /// <summary>What each vessel gets: never more than it wants, together never more than <paramref name="amount"/>. What is held is itself shared out where the amount does not cover it.</summary>
    public static int[] Fill(IReadOnlyList<Vessel> vessels, long amount)
    {
        var filled = new int[vessels.Count];
        var left = Math.Max(0, amount);
        Pour(vessel => Math.Clamp(vessel.Held, 0, Math.Max(0, vessel.Wanted)));
        Pour(vessel => vessel.Wanted);
        return filled;

        void Pour(Func<Vessel, int> topOf)
        {
            var tops = vessels.Select(topOf).ToArray();
            var lowest = new PriorityQueue<int, (int Rank, double Share, string Name)>();
            if (tops.Zip(filled, (top, level) => Math.Max(0L, top - level)).Sum() > left)
            {
                for (var i = 0; i < filled.Length; i++) Offer(i);
                for (; left > 0 && lowest.TryDequeue(out var next, out _); left--)
                {
                    filled[next]++;
                    Offer(next);
                }

                return;
            }

            for (var i = 0; i < filled.Length; i++)
            {
                var more = Math.Max(0, tops[i] - filled[i]);
                (filled[i], left) = (filled[i] + more, left - more);
            }

            void Offer(int vessel)
            {
                if (filled[vessel] < tops[vessel]) lowest.Enqueue(vessel, (vessels[vessel].Rank, (double)filled[vessel] / tops[vessel], vessels[vessel].Name));
            }
        }
    }

    /// <summary>One that is filled.</summary>
    /// <param name="Name">Tells equal shares apart.</param>
    /// <param name="Held">What it has before anybody gets more.</param>
    /// <param name="Wanted">What it is never filled beyond.</param>
    /// <param name="Rank">Those of a lower rank are full before the next gets anything.</param>
    internal readonly record struct Vessel(string Name, int Held, int Wanted, int Rank = 0);
}
