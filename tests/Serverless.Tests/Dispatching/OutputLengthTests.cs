using CsCheck;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>How long answers are expected to be.</summary>
public sealed class OutputLengthTests
{
    [Fact]
    public void The_upper_quartile_of_what_was_seen_is_expected()
    {
        var estimate = new OutputLengthEstimate();
        for (var i = 0; i < 400; i++) estimate.Observe(Request(1024), 10 + (i * 7 % 100));

        estimate.For(Request(1024)).ShouldBeInRange(82, 98);
        estimate.MeanShare.ShouldBe(59.5 / 90, 0.1);
    }

    [Fact]
    public void Callers_with_another_cap_are_learned_of_apart_and_no_cap_is_exceeded()
    {
        var estimate = new OutputLengthEstimate();
        for (var i = 0; i < 200; i++) estimate.Observe(Request(4096), 3000);

        estimate.For(Request(4096)).ShouldBeGreaterThan(2900);
        estimate.For(Request(300)).ShouldBeInRange(200, 300);
        estimate.For(Request(16)).ShouldBe(16);
    }

    [Fact]
    public void One_odd_answer_moves_little()
    {
        var estimate = new OutputLengthEstimate();
        for (var i = 0; i < 200; i++) estimate.Observe(Request(4096), 100);
        var before = estimate.For(Request(4096));

        estimate.Observe(Request(4096), 4096);

        estimate.For(Request(4096)).ShouldBe(before);
        estimate.MeanShare.ShouldBeGreaterThan(0.8);
    }

    [Fact]
    public void Quantiles_are_those_of_the_samples_within_a_bin() =>
        Gen.Int[1, 100_000].Array[50, 200].Sample(lengths =>
        {
            var histogram = new LengthHistogram(1, 0);
            foreach (var length in lengths) histogram.Add(length);

            // Weights fade, so the exact quantile lies between those of a few shares.
            var sorted = lengths.Order().ToArray();
            histogram.Quantile(0.75).ShouldBeInRange(sorted[(int)(0.45 * sorted.Length)] * 0.99, sorted[^1] * 1.16);
        });

    private static InferenceRequest Request(int cap) => new()
    {
        Id = new RequestId("r"),
        Model = new ModelName("m"),
        Endpoint = EndpointName.ChatCompletions,
        Body = default,
        PromptTokens = 10,
        MaxOutputTokens = cap,
        Seed = 0,
        AcceptedAt = DateTimeOffset.UnixEpoch,
        Deadline = DateTimeOffset.UnixEpoch.AddHours(1),
    };
}
