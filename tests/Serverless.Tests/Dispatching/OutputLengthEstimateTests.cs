using Serverless.Dispatching;
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

    [Fact]
    public void It_learns_the_length_of_answers_and_keeps_a_margin()
    {
        var estimate = new OutputLengthEstimate();
        var request = TestRequests.New() with { MaxOutputTokens = 4096, Choices = 2 };

        for (var i = 0; i < 200; i++) estimate.Observe(request, 2 * 1000);

        estimate.For(request).ShouldBeInRange(2 * 1450, 2 * 1501);
    }

    [Fact]
    public void It_is_at_least_one_token()
    {
        var estimate = new OutputLengthEstimate();
        for (var i = 0; i < 1000; i++) estimate.Observe(TestRequests.New(), 0);

        estimate.For(TestRequests.New()).ShouldBe(1);
    }
}
