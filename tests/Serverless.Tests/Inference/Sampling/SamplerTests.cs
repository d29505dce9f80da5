using Serverless.Inference.Models;
using Serverless.Inference.Sampling;
using Shouldly;

namespace Serverless.Tests.Inference.Sampling;

public sealed class SamplerTests
{
    private static readonly float[] Logits = [1, 4, 2, 4, 3, -1];

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
    public void Penalties_are_taken_once_for_presence_and_each_time_for_frequency()
    {
        Adjusted(new SamplingOptions { PresencePenalty = 0.5 }, [1, 1, 1, 2]).ShouldBe([1, 3.5f, 1.5f, 4, 3, -1]);
        Adjusted(new SamplingOptions { FrequencyPenalty = 0.5 }, [1, 1, 1, 2]).ShouldBe([1, 2.5f, 1.5f, 4, 3, -1]);
        Adjusted(new SamplingOptions { FrequencyPenalty = -1, PresencePenalty = 0.25 }, [5, 5]).ShouldBe([1, 4, 2, 4, 3, 0.75f]);
    }

    [Fact]
    public void Log_probabilities_are_of_the_logits_as_they_were_and_the_most_probable_first()
    {
        var top = Sampler.Top(Logits, 2, 3, out var logProb);
        var total = Math.Log(Logits.Sum(logit => Math.Exp(logit)));

        ((double)logProb).ShouldBe(2 - total, 1e-6);
        top.Select(token => token.Token).ShouldBe([1, 3, 4]);
        ((double)top[2].LogProb).ShouldBe(3 - total, 1e-6);
        Sampler.Top(Logits, 0, 0, out _).ShouldBeEmpty();
        Sampler.Top(Logits, 0, 100, out _).Length.ShouldBe(Logits.Length);
    }

    [Fact]
    public void A_place_draws_the_same_whatever_came_before()
    {
        var order = Enumerable.Range(0, 100).Select(position => Draw(new SamplingOptions(), 9, position)).ToList();

        Enumerable.Range(0, 100).Reverse().Select(position => Draw(new SamplingOptions(), 9, position)).Reverse().ShouldBe(order);
    }

    [Fact]
    public void Numbers_that_are_none_end_the_sequence() =>
        Should.Throw<ModelException>(() => Sampler.Next(new float[] { float.NaN, float.NaN }, new SamplingOptions(), [], 1, 0)).Message.ShouldContain("damaged");

    private static int Next(SamplingOptions options) => Sampler.Next([.. Logits], options, [], 1, 0);

    private static int Draw(SamplingOptions options, ulong seed, int position) => Sampler.Next([.. Logits], options, [], seed, position);

    private static float[] Adjusted(SamplingOptions options, int[] generated)
    {
        float[] logits = [.. Logits];
        Sampler.Next(logits, options with { Temperature = 0 }, generated, 1, generated.Length);
        return logits;
    }

    private static int[] Drawn(SamplingOptions options) => [.. Enumerable.Range(0, 3000).Select(position => Draw(options, 3, position)).Distinct().Order()];

    private static double[] Shares(SamplingOptions options)
    {
        var counts = new double[Logits.Length];
        for (var position = 0; position < 20_000; position++) counts[Draw(options, 3, position)] += 1.0 / 20_000;
        return counts;
    }
}
