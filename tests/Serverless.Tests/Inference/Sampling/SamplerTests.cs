using CsCheck;
using Serverless.Inference.Models;
using Serverless.Inference.Sampling;
using Shouldly;

namespace Serverless.Tests.Inference.Sampling;

public sealed class SamplerTests
{
    private static readonly float[] Logits = [1, 4, 2, 4, 3, -1];

    private static readonly Gen<SamplingOptions> Options = Gen.Select(
        Gen.Double[0.2, 2], Gen.OneOf(Gen.Const(1.0), Gen.Double[0, 1]), Gen.OneOf(Gen.Const(0), Gen.Int[1, 60], Gen.Int[1, 3000]), Gen.OneOf(Gen.Const(0.0), Gen.Double[0, 1]), Gen.OneOf(Gen.Const(1.0), Gen.Const(1.0), Gen.Double[0, 1]),
        (temperature, topP, topK, minP, typicalP) => new SamplingOptions { Temperature = temperature, TopP = topP, TopK = topK, MinP = minP, TypicalP = typicalP });

    /// <summary>Vocabularies of any length; logits as models give them, flat ones, and ones with many equals.</summary>
    private static readonly Gen<float[]> Rows = Gen.Select(Gen.Int[1, 3000], Gen.UInt, Gen.Int[0, 2], (length, seed, kind) =>
    {
        var random = new Random((int)(seed & int.MaxValue));
        return Enumerable.Range(0, length).Select(_ => kind switch
        {
            0 => (float)(random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5) * 16,
            1 => (float)random.NextDouble(),
            _ => random.Next(6),
        }).ToArray();
    });

    [Fact]
    public void Greedy_takes_the_most_probable_and_of_equals_the_first() => Next(SamplingOptions.Greedy).ShouldBe(1);

    [Fact]
    public void Draws_are_as_frequent_as_probable()
    {
        var shares = Shares(new SamplingOptions());
        var total = Logits.Sum(logit => Math.Exp(logit));

        for (var token = 0; token < Logits.Length; token++) shares[token].ShouldBe(Math.Exp(Logits[token]) / total, 0.02);
    }

    [Theory]
    [InlineData(1, new[] { 1 })]
    [InlineData(2, new[] { 1, 3 })]
    [InlineData(3, new[] { 1, 3, 4 })]
    [InlineData(100, new[] { 0, 1, 2, 3, 4, 5 })]
    public void Top_k_leaves_so_many_and_of_equals_the_lower(int k, int[] drawn) => Drawn(new SamplingOptions { TopK = k, Temperature = 2 }).ShouldBe(drawn);

    [Theory]
    [InlineData(0.01, new[] { 1 })]
    [InlineData(0.5, new[] { 1, 3 })] // each of the two has 0.40
    [InlineData(0.85, new[] { 1, 3, 4 })]
    public void Top_p_leaves_the_fewest_that_reach_it(double p, int[] drawn) => Drawn(new SamplingOptions { TopP = p }).ShouldBe(drawn);

    [Theory]
    [InlineData(0.5, new[] { 1, 3 })]
    [InlineData(0.3, new[] { 1, 3, 4 })]
    [InlineData(0.1, new[] { 1, 2, 3, 4 })]
    public void Min_p_leaves_what_is_that_share_of_the_most_probable(double p, int[] drawn) => Drawn(new SamplingOptions { MinP = p }).ShouldBe(drawn);

    [Fact]
    public void A_bias_moves_a_token_and_one_beyond_the_vocabulary_none()
    {
        Next(SamplingOptions.Greedy with { LogitBias = new Dictionary<int, float> { [5] = 100, [6] = 100, [-1] = 100 } }).ShouldBe(5);
        Drawn(new SamplingOptions { LogitBias = new Dictionary<int, float> { [1] = -100, [3] = -100 } }).ShouldBe([0, 2, 4, 5]);
    }

    [Fact]
    public void What_is_drawn_is_what_a_plain_sampler_draws() =>
        Gen.Select(Rows, Options, Gen.ULong, Gen.Int[0, 1000]).Sample(
            (row, options, seed, position) =>
                Sampler.Next(row, new Penalties(options, []), [], options, seed, position, new SamplingScratch(row.Length)).ShouldBe(ReferenceSampler.Next(row, options, seed, position)),
            iter: Fuzz.Number("FUZZ_RUNS", 400));

    [Fact]
    public void Bias_and_penalties_are_those_of_a_plain_sampler() =>
        Gen.Select(Gen.Int[0, 9].Array[0, 60], Gen.Int[0, 9].Array[0, 60], Gen.Double[-2, 2], Gen.Double[-2, 2], Gen.Double[0.5, 2], Gen.Select(Gen.Double[0, 2], Gen.Double[1, 2], Gen.Int[1, 6], Gen.Int[-1, 80])).Sample(
            (prompt, output, presence, frequency, repetition, dry) =>
            {
                var options = new SamplingOptions
                {
                    PresencePenalty = presence,
                    FrequencyPenalty = frequency,
                    RepetitionPenalty = repetition,
                    LogitBias = new Dictionary<int, float> { [3] = 0.5f },
                    Dry = new DryOptions { Multiplier = dry.Item1, Base = dry.Item2, AllowedLength = dry.Item3, LastTokens = dry.Item4 },
                };
                float[] logits = [.. Logits, 5, 0, -3, 2];

                var changed = Adjusted(logits, options, prompt, output, new HashSet<int> { 9 });

                var expected = ReferenceSampler.Adjusted(logits, options, prompt, output, new HashSet<int> { 9 });
                for (var token = 0; token < logits.Length; token++) changed[token].ShouldBe(expected[token], 1e-4 + Math.Abs(expected[token] * 1e-5));
            },
            iter: Fuzz.Number("FUZZ_RUNS", 400));

    [Fact]
    public void Penalties_are_taken_once_for_presence_and_each_time_for_frequency()
    {
        Adjusted(Logits, new SamplingOptions { PresencePenalty = 0.5 }, [4], [1, 1, 1, 2]).ShouldBe([1, 3.5f, 1.5f, 4, 3, -1]);
        Adjusted(Logits, new SamplingOptions { FrequencyPenalty = 0.5 }, [4], [1, 1, 1, 2]).ShouldBe([1, 2.5f, 1.5f, 4, 3, -1]);
        Adjusted(Logits, new SamplingOptions { FrequencyPenalty = -1, PresencePenalty = 0.25 }, [], [5, 5]).ShouldBe([1, 4, 2, 4, 3, 0.75f]);
    }

    [Fact]
    public void A_repetition_penalty_makes_what_was_read_or_written_less_probable_whatever_its_sign() =>
        Adjusted(Logits, new SamplingOptions { RepetitionPenalty = 2 }, [1, 1], [5]).ShouldBe([1, 2, 2, 4, 3, -2]);

    [Fact]
    public void What_would_go_on_a_repetition_is_penalized_by_its_length()
    {
        var dry = new SamplingOptions { Dry = new DryOptions { Multiplier = 1, Base = 2, AllowedLength = 2 } };

        // "0 1 2 3 … 0 1 2": 3 would be the fourth.
        Adjusted(Logits, dry, [0, 1, 2, 3, 4], [0, 1, 2]).ShouldBe([1, 4, 2, 2, 3, -1]);
        Adjusted(Logits, dry, [0, 1, 2, 3, 4], [0, 1, 2], new HashSet<int> { 1 }).ShouldBe(Logits, "a break: one token is no repetition");
        Adjusted(Logits, dry, [2, 3, 4], [1, 2]).ShouldBe(Logits, "one token is none");
    }

    [Fact]
    public void A_token_allocates_nothing()
    {
        var row = new Random(5).GetItems(Logits, 49_152);
        for (var i = 0; i < row.Length; i++) row[i] += i * 1e-4f % 3;
        SamplingOptions[] all =
        [
            SamplingOptions.Greedy, new(), new() { TopP = 0.95 }, new() { TopK = 40, TopP = 0.9, MinP = 0.01 }, new() { TypicalP = 0.9 },
            new() { RepetitionPenalty = 1.1, PresencePenalty = 1, FrequencyPenalty = 0.1, LogitBias = new Dictionary<int, float> { [1] = 2 }, Dry = new DryOptions { Multiplier = 0.8 } },
        ];
        int[] text = [.. Enumerable.Range(0, 300).Select(i => i % 7)];
        var scratch = new SamplingScratch(row.Length);
        foreach (var options in all)
        {
            var penalties = new Penalties(options, text);
            penalties.Add(3);
            Sampler.Next(row, penalties, text, options, 1, 0, scratch);

            // What the runtime itself allocates on this thread, as when it compiles anew what runs often, it does not allocate in every pass.
            Enumerable.Range(0, 5).Min(_ => AllocatedBy(() =>
            {
                for (var position = 1; position < 20; position++)
                {
                    Sampler.Next(row, penalties, text, options, 1, position, scratch);
                    penalties.Add(3);
                }
            })).ShouldBe(0, options.ToString());
        }
    }

    private static long AllocatedBy(Action run)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        run();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    [Fact]
    public void Log_probabilities_are_of_the_logits_as_they_were_and_the_most_probable_first()
    {
        var top = Sampler.Top(Logits, 2, 3, new SamplingScratch(Logits.Length), out var logProb);
        var total = Math.Log(Logits.Sum(logit => Math.Exp(logit)));

        ((double)logProb).ShouldBe(2 - total, 1e-6);
        top.Select(token => token.Token).ShouldBe([1, 3, 4]);
        ((double)top[2].LogProb).ShouldBe(3 - total, 1e-6);
        Sampler.Top(Logits, 0, 0, new SamplingScratch(Logits.Length), out _).ShouldBeEmpty();
        Sampler.Top(Logits, 0, 100, new SamplingScratch(Logits.Length), out _).Length.ShouldBe(Logits.Length);
    }

    [Fact]
    public void A_place_draws_the_same_whatever_came_before()
    {
        var order = Enumerable.Range(0, 100).Select(position => Draw(new SamplingOptions(), 9, position)).ToList();

        Enumerable.Range(0, 100).Reverse().Select(position => Draw(new SamplingOptions(), 9, position)).Reverse().ShouldBe(order);
    }

    [Fact]
    public void Numbers_that_are_none_end_the_sequence() => Should.Throw<ModelException>(() => Next(new SamplingOptions(), [1, float.NaN])).Message.ShouldContain("damaged");

    private static int Next(SamplingOptions options, float[]? logits = null, ulong seed = 1, int position = 0) =>
        Sampler.Next(logits ?? Logits, new Penalties(options, []), [], options, seed, position, new SamplingScratch((logits ?? Logits).Length));

    private static int Draw(SamplingOptions options, ulong seed, int position) => Next(options, null, seed, position);

    private static float[] Adjusted(float[] logits, SamplingOptions options, int[] prompt, int[] output, IReadOnlySet<int>? breakers = null)
    {
        var penalties = new Penalties(options, prompt, breakers);
        foreach (var token in output) penalties.Add(token);
        float[] changed = [.. logits];
        penalties.Apply(changed, [.. prompt, .. output], new SamplingScratch(logits.Length));
        return changed;
    }

    private static int[] Drawn(SamplingOptions options) => [.. Enumerable.Range(0, 3000).Select(position => Draw(options, 3, position)).Distinct().Order()];

    private static double[] Shares(SamplingOptions options)
    {
        var counts = new double[Logits.Length];
        for (var position = 0; position < 20_000; position++) counts[Draw(options, 3, position)] += 1.0 / 20_000;
        return counts;
    }
}
