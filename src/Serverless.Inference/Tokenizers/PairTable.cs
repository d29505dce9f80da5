namespace Serverless.Inference.Tokenizers;

/// <summary>Pairs of tokens and what they merge to, in one open table: the numbers of a pair hash badly by themselves, and every byte of a text is looked up.</summary>
internal sealed class PairTable
{
    /// <summary>No pair: tokens are counted from −1.</summary>
    private const long Empty = long.MinValue;

    private readonly (long Pair, int Rank, int Token)[] _places;
    private readonly int _shift;

    public PairTable(Dictionary<long, (int Rank, int Token)> merges)
    {
        // At most half full, so that a search ends soon.
        var bits = 4;
        while (1L << bits < 2L * merges.Count) bits++;
        _shift = 64 - bits;
        _places = new (long, int, int)[1 << bits];
        Array.Fill(_places, (Empty, 0, 0));
        foreach (var (pair, merge) in merges)
        {
            var place = PlaceOf(pair);
            while (_places[place].Pair != Empty) place = Next(place);
            _places[place] = (pair, merge.Rank, merge.Token);
        }
    }

    public bool TryGetValue(long pair, out (int Rank, int Token) merge)
    {
        for (var at = PlaceOf(pair); ; at = Next(at))
        {
            ref readonly var place = ref _places[at];
            merge = (place.Rank, place.Token);
            if (place.Pair == pair) return true;
            if (place.Pair == Empty) return false;
        }
    }

    private int PlaceOf(long pair) => (int)(((ulong)pair * 0x9E3779B97F4A7C15) >> _shift);

    private int Next(int place) => (place + 1) & (_places.Length - 1);
}
