using Serverless.Dispatching;
using Serverless.Leases;
using Serverless.Simulation;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>A clock on the wall that is set back by an hour holds nothing up.</summary>
public sealed class SetClockTests
{
    private readonly LoopScene _scene = new();

    [Fact]
    public void Demand_goes_on_being_told()
    {
        _scene.Submit();
        SetBack();
        _scene.Submit();
        _scene.Pass(TimeSpan.FromSeconds(1));

        _scene.Demand.Latest(TestRequests.Model)!.PendingRequests.ShouldBe(2);
    }

    [Fact]
    public void A_store_that_was_away_is_asked_again()
    {
        var (_, said) = _scene.Connect("w");
        _scene.Handle(new DispatchInput.Sought(null) { IsStoreAway = true });
        SetBack();
        _scene.Submit();
        _scene.Pass(TimeSpan.FromSeconds(2));

        said.Assigned.Count().ShouldBe(1);
    }

    [Fact]
    public void A_gateway_that_is_gone_is_missed()
    {
        _scene.Submit(request => request with { Holder = "lost" });
        _scene.Pass(TimeSpan.FromSeconds(1));
        SetBack();
        _scene.Pass(LeaseTimes.Absence + TimeSpan.FromSeconds(3));

        _scene.Demand.Latest(TestRequests.Model)!.PendingRequests.ShouldBe(0);
    }

    [Fact]
    public void A_replays_time_passes_as_its_clock_says()
    {
        var time = new VirtualTime();
        var begun = time.GetTimestamp();
        time.Seconds = 90;

        time.GetElapsedTime(begun).ShouldBe(TimeSpan.FromSeconds(90));
    }

    private void SetBack() => _scene.Time.Set(_scene.Time.GetUtcNow().AddHours(-1));
}
