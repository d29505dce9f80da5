using CsCheck;
using Serverless.Demand;
using Shouldly;

namespace Serverless.Tests.Dispatching;

public sealed class OutputLengthEstimateTests
{
    [Fact]
    public void An_unknown_model_answers_with_256_tokens_a_choice_or_its_cap()
    {
        var estimate = new OutputLengthEstimate();

        estimate.For(TestRequests.New() with { MaxOutputTokens = 4096 }).ShouldBe(256);
        estimate.For(TestRequests.New() with { MaxOutputTokens = 4096, Choices = 3 }).ShouldBe(768);
        estimate.For(TestRequests.New() with { MaxOutputTokens = 20 }).ShouldBe(20);
    }

    /// <summary>Bins are 15 % wide with an edge at 256: the one that holds 1,000 ends at 256 × 1.15^10 = 1,035.7.</summary>
    [Fact]
    public void It_learns_the_length_of_answers_to_the_upper_edge_of_their_bin()
    {
        var estimate = new OutputLengthEstimate();
        var request = TestRequests.New() with { MaxOutputTokens = 4096, Choices = 2 };

        for (var i = 0; i < 200; i++) estimate.Observe(request, 2 * 1000);

        estimate.For(request).ShouldBe(2 * 1036);
    }

    [Fact]
    public void Three_of_four_answers_fit_into_it_and_it_is_at_most_a_bin_above_the_quartile() =>
        Gen.Int[1, 4096].Array[100, 300].Sample(lengths =>
        {
            var histogram = new LengthHistogram(256, 1e-9);
            foreach (var length in lengths) histogram.Add(length);

            // Against the plain definition: sorted, the newest counting most.
            var weighted = lengths.Select((length, index) => (Length: length, Weight: Math.Pow(0.995, lengths.Length - 1 - index))).OrderBy(entry => entry.Length).ToArray();
            var left = 0.75 * weighted.Sum(entry => entry.Weight);
            var exact = weighted.First(entry => (left -= entry.Weight) <= 1e-6).Length;

            histogram.Quantile(0.75).ShouldBeInRange(exact * (1 - 1e-6), exact * LengthHistogram.Ratio * (1 + 1e-6));
        });

    [Fact]
    public void Each_cap_has_lengths_of_its_own_and_none_is_above_its_cap()
    {
        var estimate = new OutputLengthEstimate();
        for (var i = 0; i < 200; i++) estimate.Observe(TestRequests.New() with { MaxOutputTokens = 4096 }, 4000);

        estimate.For(TestRequests.New() with { MaxOutputTokens = 4096 }).ShouldBe(4096, "the bin ends at 256 × 1.15^20 = 4,189.9");
        estimate.For(TestRequests.New() with { MaxOutputTokens = 1024 }).ShouldBe(256);
    }

    [Fact]
    public void It_is_at_least_one_token()
    {
        var estimate = new OutputLengthEstimate();
        for (var i = 0; i < 1000; i++) estimate.Observe(TestRequests.New(), 0);

        estimate.For(TestRequests.New()).ShouldBe(1);
    }
}
