using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>How fast what waits is worked off, as demand tells it.</summary>
public sealed class ServedRateTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_waits_for_a_replica_to_start_says_nothing_of_how_fast_it_is_worked_off(bool isSeenLoading)
    {
        var scene = new LoopScene();
        scene.Submit();
        var coming = isSeenLoading ? scene.Connect("w", loading: true).Replica : null;
        scene.Pass(TimeSpan.FromMinutes(2));
        if (coming is not null) scene.Close(coming);
        var (replica, said) = scene.Connect("w");
        scene.Pass(TimeSpan.FromSeconds(2));
        scene.Leave(replica, said.Assigned.Single(), tokens: 90);
        scene.Pass(TimeSpan.FromSeconds(1));

        scene.Demand.Latest(TestRequests.Model)!.ServedTokensPerSecond.ShouldBeGreaterThan(30, "100 tokens in two to three seconds");
    }

    [Theory]
    [InlineData(8)]
    [InlineData(-8)]
    public void A_clock_that_is_set_or_a_machine_that_slept_is_no_time_in_which_requests_ran(int hours)
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w");
        for (var i = 0; i < 8; i++)
        {
            scene.Submit(request => request with { Deadline = request.Deadline.AddDays(2) });
            scene.Pass(TimeSpan.FromSeconds(1));
            if (i == 4) scene.Time.Set(scene.Time.GetUtcNow().AddHours(hours));
            scene.Pass(TimeSpan.FromSeconds(1));
            scene.Leave(replica, said.Assigned.Last(), tokens: 90);
        }

        scene.Pass(TimeSpan.FromSeconds(1));
        scene.Demand.Latest(TestRequests.Model)!.RunSeconds.ShouldBe(2, 0.2);
        scene.Demand.Latest(TestRequests.Model)!.ServedTokensPerSecond.ShouldBe(50, 10);
    }
}
