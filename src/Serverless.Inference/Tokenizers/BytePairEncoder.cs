using System.Collections.Frozen;

namespace Serverless.Inference.Tokenizers;

/// <summary>Merges the bytes of a piece into tokens by rank, the lowest pair first (Sennrich et al., 2016). Thread-safe.</summary>
internal sealed class BytePairEncoder
{
    private const int ScanLimit = 64;

    private readonly FrozenDictionary<long, (int Rank, int Token)> _merges;
    private readonly int[] _byteTokens;

    /// <param name="byteTokens">The token of each byte.</param>
    /// <param name="merges">(left token, right token) → (rank, merged token).</param>
    public BytePairEncoder(int[] byteTokens, Dictionary<long, (int Rank, int Token)> merges)
    {
        _byteTokens = byteTokens;
        _merges = merges.ToFrozenDictionary();
    }

    public static long Pair(int left, int right) => ((long)left << 32) | (uint)right;

    /// <summary>Appends the tokens of <paramref name="piece"/>. Short pieces are scanned for the best pair, long ones use a heap: never quadratic.</summary>
    public void Encode(ReadOnlySpan<byte> piece, List<int> output)
    {
        if (piece.Length <= ScanLimit) Scan(piece, output);
        else Heap(piece, output);
    }

    private void Scan(ReadOnlySpan<byte> piece, List<int> output)
    {
        Span<int> tokens = stackalloc int[piece.Length];
        Span<int> ranks = stackalloc int[piece.Length];
        for (var i = 0; i < piece.Length; i++) tokens[i] = _byteTokens[piece[i]];

        var count = piece.Length;
        for (var i = 0; i + 1 < count; i++) ranks[i] = Rank(tokens[i], tokens[i + 1]);
        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
            {
                if (ranks[i] < ranks[best]) best = i;
            }

            if (ranks[best] == int.MaxValue) break;

            tokens[best] = _merges[Pair(tokens[best], tokens[best + 1])].Token;
            tokens[(best + 2)..count].CopyTo(tokens[(best + 1)..]);
            ranks[(best + 2)..count].CopyTo(ranks[(best + 1)..]);
            count--;
            if (best > 0) ranks[best - 1] = Rank(tokens[best - 1], tokens[best]);
            ranks[best] = best + 1 < count ? Rank(tokens[best], tokens[best + 1]) : int.MaxValue;
        }

        for (var i = 0; i < count; i++)
        {
            if (tokens[i] >= 0) output.Add(tokens[i]); // a byte that the vocabulary lacks has no token
        }
    }

    private void Heap(ReadOnlySpan<byte> piece, List<int> output)
    {
        var tokens = new int[piece.Length];
        var next = new int[piece.Length];
        var previous = new int[piece.Length];
        for (var i = 0; i < piece.Length; i++) (tokens[i], next[i], previous[i]) = (_byteTokens[piece[i]], i + 1, i - 1);

        // Entries are (pair seen, place); one whose pair has changed since is stale and skipped.
        var heap = new PriorityQueue<(long Pair, int Place), (int Rank, int Place)>();
        for (var i = 0; i + 1 < piece.Length; i++) Push(i);
        while (heap.TryDequeue(out var entry, out _))
        {
            var left = entry.Place;
            var right = next[left];
            if (tokens[left] < 0 || right >= tokens.Length || Pair(tokens[left], tokens[right]) != entry.Pair) continue;

            tokens[left] = _merges[entry.Pair].Token;
            tokens[right] = -1;
            next[left] = next[right];
            if (next[right] < tokens.Length) previous[next[right]] = left;
            Push(left);
            if (previous[left] >= 0) Push(previous[left]);
        }

        for (var i = 0; i < tokens.Length; i = next[i])
        {
            if (tokens[i] >= 0) output.Add(tokens[i]);
        }

        void Push(int place)
        {
            if (next[place] >= tokens.Length) return;
            var pair = Pair(tokens[place], tokens[next[place]]);
            if (_merges.TryGetValue(pair, out var merge)) heap.Enqueue((pair, place), (merge.Rank, place));
        }
    }

    private int Rank(int left, int right) => _merges.TryGetValue(Pair(left, right), out var merge) ? merge.Rank : int.MaxValue;
}
