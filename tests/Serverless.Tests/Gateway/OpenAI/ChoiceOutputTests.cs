using CsCheck;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.OpenAI;

public sealed class ChoiceOutputTests
{
    [Fact]
    public void Chunks_that_come_again_from_any_point_neither_skip_nor_repeat_a_token() =>
        Gen.Select(Gen.Int[0, 3].Array[1, 20], Gen.Int[0, 19].Array[0, 5]).Sample((lengths, returns) =>
        {
            var chunks = Chunks(lengths);
            var output = new ChoiceOutput(0);
            var (next, back) = (0, new Queue<int>(returns));
            while (next < chunks.Count)
            {
                var (sequence, chunk) = chunks[next++];
                var place = output.Place(sequence, chunk);
                place.ShouldNotBe(ChunkPlace.Broken);
                if (place == ChunkPlace.Next) output.Keep(chunk);
                if (next < chunks.Count && back.TryDequeue(out var to)) next = Math.Min(next, to); // the store lost what follows
            }

            output.Text.ShouldBe(string.Concat(chunks.Select(each => each.Chunk.Text)));
            output.Finish.ShouldBe(FinishReason.Stop);
        });

    [Theory]
    [InlineData(3, 1)]
    [InlineData(1, 2)]
    [InlineData(0, 3)]
    public void A_gap_and_a_half_known_chunk_are_broken(int position, int count)
    {
        var output = new ChoiceOutput(0);
        output.Place(1, new ChoiceChunk(0, 0, [7, 7], "ab")).ShouldBe(ChunkPlace.Next);

        output.Place(2, new ChoiceChunk(0, position, [.. Enumerable.Repeat(7, count)], "x")).ShouldBe(ChunkPlace.Broken);
    }

    [Fact]
    public void Nothing_new_comes_after_the_end()
    {
        var output = new ChoiceOutput(0);
        output.Place(1, new ChoiceChunk(0, 0, [7], "a") { Finish = FinishReason.Length }).ShouldBe(ChunkPlace.Next);

        output.Place(2, new ChoiceChunk(0, 1, [7], "b")).ShouldBe(ChunkPlace.Broken);
        output.Place(1, new ChoiceChunk(0, 0, [7], "a") { Finish = FinishReason.Length }).ShouldBe(ChunkPlace.Known);
    }

    private static List<(long Sequence, ChoiceChunk Chunk)> Chunks(int[] lengths)
    {
        var (chunks, position) = (new List<(long, ChoiceChunk)>(), 0);
        for (var i = 0; i < lengths.Length; i++)
        {
            var finish = i == lengths.Length - 1 ? FinishReason.Stop : (FinishReason?)null;
            chunks.Add((i + 1, new ChoiceChunk(0, position, [.. Enumerable.Range(position, lengths[i])], $"<{i}>") { Finish = finish }));
            position += lengths[i];
        }

        return chunks;
    }
}
