using Serverless.Catalog;
using Serverless.Gateway.Pools;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.Tests.Gateway.Pools;

public sealed class PoolStatesTests
{
    private static readonly PoolCapacity Zero = new() { Pool = new PoolName("m-cpu") };

    [Fact]
    public void A_pools_state_is_what_matters_most_of_it()
    {
        PoolStates.Of(Zero).ShouldBe(PoolState.Zero);
        PoolStates.Of(Zero with { Desired = 1 }).ShouldBe(PoolState.Starting);
        PoolStates.Of(Zero with { LoadingSince = [default] }).ShouldBe(PoolState.Starting);
        PoolStates.Of(Zero with { Desired = 1, LastFailure = "no such file" }).ShouldBe(PoolState.Failed);
        PoolStates.Of(Zero with { Draining = 1 }).ShouldBe(PoolState.Draining);
        PoolStates.Of(Zero with { Ready = 1, Desired = 2, LastFailure = "one of two" }).ShouldBe(PoolState.Ready);
    }

    [Fact]
    public void Every_state_has_its_own_word() =>
        Enum.GetValues<PoolState>().Select(PoolStates.Word).ShouldBe(["zero", "starting", "ready", "draining", "failed"]);
}
