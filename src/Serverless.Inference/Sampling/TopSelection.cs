using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Serverless.Inference.Sampling;

/// <summary>
/// The largest of a row without sorting it. A candidate is a key, what is wanted more in the upper half and the token in the lower: smaller keys come first, of equals the
/// lower token, and no two are equal.
/// </summary>
internal static class TopSelection
{
    private const int Lanes = 8;
    private const int Few = 24;

    /// <summary>The token of a key.</summary>
    public static int Token(ulong key) => (int)(uint)key;

    /// <summary>The value of a key.</summary>
    private static int Value(ulong key) => (int)(~(uint)(key >> 32) ^ 0x8000_0000);

    /// <summary>The key of a token: the larger its value the sooner it comes.</summary>
    public static ulong Key(int value, int token) => ((ulong)~((uint)value ^ 0x8000_0000) << 32) | (uint)token;

    /// <summary>A float's place in the order of floats, as a whole number; a whole number that is not negative stays as it is.</summary>
    public static int Ordered(int bits) => bits ^ ((bits >> 31) & int.MaxValue);

    /// <summary>
    /// Collects what is at least <paramref name="least"/>; of more than <paramref name="limit"/> the largest, above a threshold that rises as larger ones are found.
    /// </summary>
    /// <param name="row">Values, or the bits of floats: see <see cref="Ordered"/>.</param>
    /// <param name="least">In that order.</param>
    /// <param name="limit">At least 1.</param>
    /// <param name="keys">As long as the row; how many of them are set is returned.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Collect(ReadOnlySpan<int> row, int least, int limit, Span<ulong> keys)
    {
        ref var start = ref MemoryMarshal.GetReference(row);
        var room = limit > row.Length / 4 ? int.MaxValue : Math.Max(2 * limit, 4 * Few);
        var (count, i) = (0, 0);
        for (; i + Lanes <= row.Length; i += Lanes)
        {
            var values = Vector256.LoadUnsafe(ref start, (nuint)i);
            values ^= (values >> 31) & Vector256.Create(int.MaxValue);
            for (var found = Vector256.GreaterThanOrEqual(values, Vector256.Create(least)).ExtractMostSignificantBits(); found != 0; found &= found - 1)
            {
                var token = i + BitOperations.TrailingZeroCount(found);
                keys[count++] = Key(Ordered(row[token]), token);
            }

            if (count >= room) (count, least) = Raise(keys[..count], limit);
        }

        for (; i < row.Length; i++)
        {
            if (Ordered(row[i]) >= least) keys[count++] = Key(Ordered(row[i]), i);
        }

        return count > limit ? Cut(keys[..count], default, limit, long.MaxValue, out _) : count;
    }

    /// <summary>A threshold below which all weights together are at most <paramref name="spare"/>: two passes over the row, four thresholds at a time, so that few are left to be looked at one by one.</summary>
    public static int Threshold(ReadOnlySpan<int> weights, long spare)
    {
        // Of none below this can there be so many that they were more.
        var least = (int)Math.Clamp(spare / weights.Length, 1, int.MaxValue / 4096);
        Span<int> thresholds = stackalloc int[4];
        Span<long> sums = stackalloc long[4];
        foreach (var step in (ReadOnlySpan<double>)[8, 1.5])
        {
            var threshold = (double)least;
            foreach (ref var next in thresholds) next = (int)Math.Min(int.MaxValue, threshold *= step);
            Below(weights, thresholds, sums);
            for (var i = 0; i < sums.Length && sums[i] <= spare; i++) least = thresholds[i];
        }

        return least;
    }

    /// <summary>
    /// Moves the first to the front: the fewest that are <paramref name="count"/>, or that weigh <paramref name="mass"/>, or all. The last of them is the last in order.
    /// Returns how many. Quickselect: a few times as many steps as there are keys.
    /// </summary>
    /// <param name="keys">At least one.</param>
    /// <param name="weights">By token; empty where the keys' own values are their weights.</param>
    /// <param name="count">At least 1.</param>
    /// <param name="mass">At least 1.</param>
    /// <param name="kept">What they weigh.</param>
    public static int Cut(Span<ulong> keys, ReadOnlySpan<int> weights, int count, long mass, out long kept)
    {
        var (low, high) = (0, keys.Length);
        kept = 0;
        while (high - low > Few)
        {
            var middle = low + Partition(keys[low..high]);
            var part = Mass(keys[low..middle], weights);
            if (middle >= count || kept + part >= mass) high = middle;
            else (low, kept) = (middle, kept + part);
        }

        keys[low..high].Sort();
        for (; low < high && low < count && kept < mass; low++) kept += weights.IsEmpty ? Value(keys[low]) : weights[Token(keys[low])];
        return low;
    }

    /// <summary>What keys weigh together.</summary>
    public static long Mass(ReadOnlySpan<ulong> keys, ReadOnlySpan<int> weights)
    {
        var sum = 0L;
        if (weights.IsEmpty)
        {
            foreach (var key in keys) sum += Value(key);
        }
        else
        {
            foreach (var key in keys) sum += weights[Token(key)];
        }

        return sum;
    }

    /// <summary>What all weights below each threshold are together.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Below(ReadOnlySpan<int> weights, ReadOnlySpan<int> thresholds, Span<long> sums)
    {
        ref var start = ref MemoryMarshal.GetReference(weights);
        var (a, b, c, d) = (Vector256.Create(thresholds[0]), Vector256.Create(thresholds[1]), Vector256.Create(thresholds[2]), Vector256.Create(thresholds[3]));
        var (first, second, third, fourth) = (Vector256<long>.Zero, Vector256<long>.Zero, Vector256<long>.Zero, Vector256<long>.Zero);
        var i = 0;
        for (; i + Lanes <= weights.Length; i += Lanes)
        {
            var weight = Vector256.LoadUnsafe(ref start, (nuint)i);
            first += Pairs(weight & Vector256.LessThan(weight, a));
            second += Pairs(weight & Vector256.LessThan(weight, b));
            third += Pairs(weight & Vector256.LessThan(weight, c));
            fourth += Pairs(weight & Vector256.LessThan(weight, d));
        }

        (sums[0], sums[1], sums[2], sums[3]) = (Vector256.Sum(first), Vector256.Sum(second), Vector256.Sum(third), Vector256.Sum(fourth));
        for (; i < weights.Length; i++)
        {
            for (var k = 0; k < sums.Length; k++) sums[k] += weights[i] < thresholds[k] ? weights[i] : 0;
        }
    }

    /// <summary>Neighbours together; neither is negative.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<long> Pairs(Vector256<int> weights) => (weights.AsInt64() & Vector256.Create(0xFFFF_FFFFL)) + Vector256.ShiftRightLogical(weights.AsInt64(), 32);

    /// <summary>What comes later must be larger than the last that is kept: of equals the lower token came first.</summary>
    private static (int Count, int Least) Raise(Span<ulong> keys, int limit)
    {
        var kept = Cut(keys, default, limit, long.MaxValue, out _);
        var last = Value(keys[kept - 1]);
        return (kept, last == int.MaxValue ? last : last + 1);
    }

    /// <summary>Hoare's: all before the returned place come before all from there on; neither side is empty.</summary>
    private static int Partition(Span<ulong> keys)
    {
        var (first, middle, last) = (keys[0], keys[(keys.Length - 1) / 2], keys[^1]);
        var pivot = Math.Max(Math.Min(first, middle), Math.Min(Math.Max(first, middle), last));
        var (i, j) = (0, keys.Length - 1);
        while (true)
        {
            while (keys[i] < pivot) i++;
            while (keys[j] > pivot) j--;
            if (i >= j) return i;
            (keys[i], keys[j]) = (keys[j], keys[i]);
            i++;
            j--;
        }
    }
}
