using System.Text;
using CsCheck;
using Serverless.Inference.Tokenizers;
using Shouldly;

namespace Serverless.Tests.Inference.Tokenizers;

/// <summary>Long pieces are merged window by window; what comes out must be what merging them whole gives, for any table of merges.</summary>
public sealed class BytePairEncoderTests
{
    private const int Letters = 3;
    private const int Megabyte = 1 << 20;

    [Fact]
    public void Windows_of_any_size_give_what_the_whole_gives() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.Int[1, 40], Gen.Int[65, 1500], Gen.Int[66, 300]).Sample(
            (seed, merges, length, window) =>
            {
                var random = new Random(seed);
                var (table, lengths) = Table(random, merges);
                var text = Text(random, length);

                var windows = Encode(new BytePairEncoder(Bytes(), table, lengths, window), text);

                windows.ShouldBe(Encode(new BytePairEncoder(Bytes(), table, lengths, int.MaxValue), text), $"seed {seed}");
                windows.ShouldBe(Slowly(table, text), $"seed {seed}");
            },
            iter: 3000);

    [Fact]
    public void A_byte_without_a_token_parts_what_is_around_it()
    {
        var merges = new Dictionary<long, (int, int)> { [BytePairEncoder.Pair(0, 0)] = (0, 3) };
        var text = Encoding.ASCII.GetBytes(new string('a', 101) + "z" + new string('a', 100));

        var tokens = Encode(new BytePairEncoder(Bytes(), merges, [1, 1, 1, 2]), text);

        tokens.Count.ShouldBe(101);
        tokens[50].ShouldBe(0);
    }

    [Fact]
    public void The_shipped_vocabulary_merges_long_pieces_as_if_whole()
    {
        string[] pieces = ["a", "ab", "the", "=", "==-", "日本", "aaaaab", "xyzzy", "\ud83d\ude00"];
        foreach (var piece in pieces)
        {
            var text = string.Concat(Enumerable.Repeat(piece, 20_000 / piece.Length));
            SharedModel.Tokenizer.Decode(SharedModel.Tokenizer.Encode(text, false)).ShouldBe(text);
        }

        // A prefix of a valid encoding up to any token is the encoding of its own text: what a window's seam rests on.
        var random = new Random(5);
        var word = string.Concat(Enumerable.Range(0, 30_000).Select(_ => (char)('a' + random.Next(26))));
        var tokens = SharedModel.Tokenizer.Encode(word, false);
        var half = SharedModel.Tokenizer.Decode(tokens.Take(tokens.Count / 2));
        SharedModel.Tokenizer.Encode(half, false).ShouldBe(tokens.Take(tokens.Count / 2));
    }

    [Fact]
    public void Four_megabytes_without_a_split_take_little_memory()
    {
        var text = new string('a', 4 * Megabyte);
        List<int> tokens = [];
        SharedModel.Tokenizer.Encode("warm up, once", false, tokens);
        tokens.Clear();
        tokens.EnsureCapacity(Megabyte);
        var before = GC.GetAllocatedBytesForCurrentThread();

        SharedModel.Tokenizer.Encode(text, false, tokens);

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(32L * Megabyte);
        SharedModel.Tokenizer.Decode(tokens).Length.ShouldBe(text.Length);
    }

    [Fact]
    public void A_count_stops_where_the_limit_is_passed()
    {
        List<int> tokens = [];

        SharedModel.Tokenizer.Encode(string.Concat(Enumerable.Repeat("some words and ", 100_000)), false, tokens, limit: 1000);

        tokens.Count.ShouldBeInRange(1001, 1100);
    }

    private static int[] Bytes()
    {
        var bytes = new int[256];
        Array.Fill(bytes, -1);
        for (var i = 0; i < Letters; i++) bytes['a' + i] = i;
        return bytes;
    }

    /// <summary>Any pair of what there is makes something new, at any rank: merges need not be in the order in which they build on each other.</summary>
    private static (Dictionary<long, (int Rank, int Token)> Merges, int[] Lengths) Table(Random random, int count)
    {
        var lengths = Enumerable.Repeat(1, Letters).ToList();
        var merges = new Dictionary<long, (int, int)>();
        var ranks = Enumerable.Range(0, count).OrderBy(_ => random.Next(4) == 0 ? random.Next() : 0).ToArray();
        for (var i = 0; i < count; i++)
        {
            var (left, right) = (random.Next(lengths.Count), random.Next(lengths.Count));
            if (lengths[left] + lengths[right] > 40 || !merges.TryAdd(BytePairEncoder.Pair(left, right), (ranks[i], lengths.Count))) continue;
            lengths.Add(lengths[left] + lengths[right]);
        }

        return (merges, [.. lengths]);
    }

    private static byte[] Text(Random random, int length)
    {
        var period = random.Next(1, 9);
        var pattern = Enumerable.Range(0, period).Select(_ => (byte)('a' + random.Next(Letters))).ToArray();
        var noise = random.Next(3) switch { 0 => 0, 1 => 0.02, _ => 1 };
        return [.. Enumerable.Range(0, length).Select(i => random.NextDouble() < noise ? (byte)('a' + random.Next(Letters)) : pattern[i % period])];
    }

    private static List<int> Encode(BytePairEncoder encoder, byte[] text)
    {
        List<int> output = [];
        encoder.Encode(text, output);
        return output;
    }

    /// <summary>The definition: the lowest rank anywhere, the leftmost of it, again and again.</summary>
    private static List<int> Slowly(Dictionary<long, (int Rank, int Token)> merges, byte[] text)
    {
        var bytes = Bytes();
        var tokens = text.Select(value => bytes[value]).ToList();
        while (true)
        {
            var (best, at) = (int.MaxValue, -1);
            for (var i = 0; i + 1 < tokens.Count; i++)
            {
                if (merges.TryGetValue(BytePairEncoder.Pair(tokens[i], tokens[i + 1]), out var merge) && merge.Rank < best) (best, at) = (merge.Rank, i);
            }

            if (at < 0) return tokens;
            tokens[at] = merges[BytePairEncoder.Pair(tokens[at], tokens[at + 1])].Token;
            tokens.RemoveAt(at + 1);
        }
    }
}
