using Serverless.Demand;
using Shouldly;

namespace Serverless.Tests.Scaling;

public sealed class RunTimesTests
{
    private readonly RunTimes _runs = new();

    [Fact]
    public void Nothing_is_known_before_there_are_a_few_and_the_first_of_them_does_not_count_more_than_the_others()
    {
        _runs.Ended(TimeSpan.FromSeconds(30), 10);
        _runs.Stopped(TimeSpan.FromSeconds(30));
        for (var i = 0; i < 2; i++) _runs.Ended(TimeSpan.FromSeconds(1), 10);
        _runs.For(10).ShouldBe(TimeSpan.Zero);

        _runs.Ended(TimeSpan.FromSeconds(1), 10);
        _runs.Seconds.ShouldBe(8.25, 1e-9);
        _runs.OutputTokens.ShouldBe(10);

        for (var i = 0; i < 12; i++) _runs.Ended(TimeSpan.FromSeconds(1), 10);
        _runs.Seconds.ShouldBe(1 + (29.0 / 16), 1e-9);
    }

    [Fact]
    public void It_follows_what_requests_take_and_one_that_was_stopped_only_makes_it_longer()
    {
        for (var i = 0; i < 200; i++) _runs.Ended(TimeSpan.FromSeconds(2), 20);
        _runs.Stopped(TimeSpan.FromSeconds(1));
        _runs.Seconds.ShouldBe(2, 1e-3);
        _runs.For(10).TotalSeconds.ShouldBe(1, 1e-3);
        _runs.For(1000).TotalSeconds.ShouldBe(2, 1e-3);

        _runs.Stopped(TimeSpan.FromSeconds(18));
        _runs.Seconds.ShouldBe(3, 1e-3);
    }
}
