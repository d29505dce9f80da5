using System.Runtime.CompilerServices;

namespace Serverless.Inference.Tokenizers;

/// <summary>Merges the symbols of a piece, which are bytes or the tokens of characters, into tokens by rank, the lowest pair first and of equals the leftmost (Sennrich et al., 2016). Thread-safe.</summary>
/// <remarks>
/// Long pieces are merged window by window, in memory that does not grow with them, and come out as if they had been merged whole. What makes that exact: tokens are the
/// encoding of their text if and only if each neighbouring pair of them is the encoding of its own text. For regions on both sides of a boundary merge as each would alone
/// up to the first merge across it, and that merge would come at the same turn in the pair alone. So a window's tokens are kept up to a place well before its end, the next
/// window begins there, and the pair at the seam is asked; where it is none, the seam moves back, and where there is no seam at all the window grows.
/// </remarks>
internal sealed class BytePairEncoder
{
    private const int ScanLimit = 64;
    private const int DefaultWindow = 4096;
    private const int Seams = 32;

    private readonly PairTable _merges;
    private readonly int[] _byteTokens;
    private readonly int[] _lengths;
    private readonly int _window;
    private readonly int _margin;

    /// <param name="byteTokens">The token of each byte; empty where no bytes are merged.</param>
    /// <param name="merges">(left token, right token) → (rank, merged token).</param>
    /// <param name="lengths">Symbols of each token.</param>
    /// <param name="window">Symbols that are merged at once.</param>
    public BytePairEncoder(int[] byteTokens, Dictionary<long, (int Rank, int Token)> merges, int[] lengths, int window = DefaultWindow)
    {
        (_window, _margin) = (window, window / 8);
        _byteTokens = byteTokens;
        _lengths = lengths;
        _merges = new PairTable(merges);
    }

    /// <summary>Bytes that have no token: a text that is made of them is none.</summary>
    public IEnumerable<byte> Absent => Enumerable.Range(0, _byteTokens.Length).Where(value => _byteTokens[value] < 0).Select(value => (byte)value);

    public static long Pair(int left, int right) => ((long)left << 32) | (uint)right;

    /// <summary>Appends the tokens of <paramref name="piece"/>, bytes or tokens; stops where more than <paramref name="limit"/> are in <paramref name="output"/>.</summary>
    public void Encode<T>(ReadOnlySpan<T> piece, List<int> output, int limit = int.MaxValue)
        where T : unmanaged
    {
        if (piece.Length <= ScanLimit)
        {
            Scan(piece, output);
            return;
        }

        // A byte that the vocabulary lacks has no token and merges with none: what is left and right of it is apart.
        var heap = new MergeHeap();
        while (!piece.IsEmpty && output.Count <= limit)
        {
            var known = 0;
            while (known < piece.Length && Token(piece[known]) >= 0) known++;
            Windows(piece[..known], output, heap, limit);
            piece = piece[Math.Min(known + 1, piece.Length)..];
        }
    }

    /// <summary>Whether two tokens side by side are what their joined text is encoded as.</summary>
    private bool AreNeighbours<T>(ReadOnlySpan<T> text, int left, int right, MergeHeap heap)
        where T : unmanaged
    {
        List<int> pair = [];
        Merge(text, pair, heap);
        return pair is [var first, var second] && first == left && second == right;
    }

    private void Windows<T>(ReadOnlySpan<T> text, List<int> output, MergeHeap heap, int limit)
        where T : unmanaged
    {
        var window = _window;
        var tokens = new List<int>();
        Merge(text[..Math.Min(window, text.Length)], tokens, heap);
        while (output.Count <= limit)
        {
            if (window >= text.Length)
            {
                output.AddRange(tokens);
                return;
            }

            if (Seam(text, tokens, window - _margin, heap, out var kept, out var bytes) is { } next)
            {
                output.AddRange(tokens.GetRange(0, kept));
                text = text[bytes..];
                tokens = next;
                window = _window;
            }
            else
            {
                window = (int)Math.Min(2L * window, text.Length);
                tokens.Clear();
                Merge(text[..window], tokens, heap);
            }
        }
    }

    /// <summary>The tokens of the window that follows the seam nearest before <paramref name="place"/>; null where there is none near.</summary>
    private List<int>? Seam<T>(ReadOnlySpan<T> text, List<int> tokens, int place, MergeHeap heap, out int kept, out int bytes)
        where T : unmanaged
    {
        (kept, bytes) = Before(tokens, place);
        for (var tries = 0; tries < Seams && kept > 0; tries++)
        {
            // A short look ahead mostly says what the whole window will begin with.
            List<int>? next = null;
            foreach (var length in (ReadOnlySpan<int>)[_margin, _window])
            {
                next = [];
                Merge(text.Slice(bytes, Math.Min(length, text.Length - bytes)), next, heap);
                var last = _lengths[tokens[kept - 1]];
                if (AreNeighbours(text.Slice(bytes - last, last + _lengths[next[0]]), tokens[kept - 1], next[0], heap)) continue;

                next = null;
                break;
            }

            if (next is not null) return next;
            bytes -= _lengths[tokens[--kept]];
        }

        return null;
    }

    /// <summary>How many tokens, and bytes of them, end at or before a place.</summary>
    private (int Tokens, int Bytes) Before(List<int> tokens, int place)
    {
        var (count, bytes) = (0, 0);
        while (count < tokens.Count && bytes + _lengths[tokens[count]] <= place) bytes += _lengths[tokens[count++]];
        return (count, bytes);
    }

    private void Scan<T>(ReadOnlySpan<T> piece, List<int> output)
        where T : unmanaged
    {
        Span<int> tokens = stackalloc int[piece.Length];
        Span<int> ranks = stackalloc int[piece.Length];
        for (var i = 0; i < piece.Length; i++) tokens[i] = Token(piece[i]);

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

            tokens[best] = Merged(Pair(tokens[best], tokens[best + 1]));
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

    /// <summary>By a heap: n·log n, never quadratic.</summary>
    private void Merge<T>(ReadOnlySpan<T> piece, List<int> output, MergeHeap heap)
        where T : unmanaged
    {
        if (piece.Length <= ScanLimit)
        {
            Scan(piece, output);
            return;
        }

        heap.Reset(piece.Length);
        var (tokens, next, previous) = (heap.Tokens, heap.Next, heap.Previous);
        for (var i = 0; i < piece.Length; i++) (tokens[i], next[i], previous[i]) = (Token(piece[i]), i + 1, i - 1);

        // Entries are (pair seen, place); one whose pair has changed since is stale and skipped.
        for (var i = 0; i + 1 < piece.Length; i++) Push(piece.Length, i, heap);
        while (heap.Queue.TryDequeue(out var entry, out _))
        {
            var left = entry.Place;
            var right = next[left];
            if (tokens[left] < 0 || right >= piece.Length || Pair(tokens[left], tokens[right]) != entry.Pair) continue;

            tokens[left] = Merged(entry.Pair);
            tokens[right] = -1;
            next[left] = next[right];
            if (next[right] < piece.Length) previous[next[right]] = left;
            Push(piece.Length, left, heap);
            if (previous[left] >= 0) Push(piece.Length, previous[left], heap);
        }

        for (var i = 0; i < piece.Length; i = next[i])
        {
            if (tokens[i] >= 0) output.Add(tokens[i]);
        }
    }

    private void Push(int length, int place, MergeHeap heap)
    {
        if (heap.Next[place] >= length) return;
        var pair = Pair(heap.Tokens[place], heap.Tokens[heap.Next[place]]);
        if (_merges.TryGetValue(pair, out var merge)) heap.Queue.Enqueue((pair, place), (merge.Rank, place));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Token<T>(T symbol)
        where T : unmanaged => typeof(T) == typeof(byte) ? _byteTokens[Unsafe.BitCast<T, byte>(symbol)] : Unsafe.BitCast<T, int>(symbol);

    private int Merged(long pair) => _merges.TryGetValue(pair, out var merge) ? merge.Token : -1;

    private int Rank(int left, int right) => _merges.TryGetValue(Pair(left, right), out var merge) ? merge.Rank : int.MaxValue;

    /// <summary>What one piece after another is merged in.</summary>
    private sealed class MergeHeap
    {
        public int[] Tokens { get; private set; } = [];

        public int[] Next { get; private set; } = [];

        public int[] Previous { get; private set; } = [];

        public PriorityQueue<(long Pair, int Place), (int Rank, int Place)> Queue { get; } = new();

        public void Reset(int length)
        {
            Queue.Clear();
            if (Tokens.Length >= length) return;
            (Tokens, Next, Previous) = (new int[length], new int[length], new int[length]);
        }
    }
}
