using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>How fast what waits is worked off, as demand tells it.</summary>
public sealed class ServedRateTests
{
    [Fact]
    public void What_waits_for_a_replica_to_start_says_nothing_of_how_fast_it_is_worked_off()
    {
        var scene = new LoopScene();
        scene.Submit();
        scene.Pass(TimeSpan.FromMinutes(2));
        var (replica, said) = scene.Connect("w");
        scene.Pass(TimeSpan.FromSeconds(2));
        scene.Leave(replica, said.Assigned.Single(), tokens: 90);
        scene.Pass(TimeSpan.FromSeconds(1));

        scene.Demand.Latest(TestRequests.Model)!.ServedTokensPerSecond.ShouldBeGreaterThan(30, "100 tokens in two to three seconds");
    }
}
