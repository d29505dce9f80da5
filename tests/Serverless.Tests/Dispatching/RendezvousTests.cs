using Serverless.Leases;
using Shouldly;

namespace Serverless.Tests.Dispatching;

public sealed class RendezvousTests
{
    private static readonly string[] Keys = [.. Enumerable.Range(0, 1000).Select(number => $"model-{number}")];

    [Fact]
    public void Every_key_ranks_each_member_once()
    {
        string[] members = ["a", "b", "c"];
        foreach (var key in Keys) members.Select(member => Rendezvous.Rank(key, member, members)).Order().ShouldBe([0, 1, 2]);
    }

    [Fact]
    public void Keys_spread_evenly()
    {
        string[] members = ["gateway-1", "gateway-2", "gateway-3", "gateway-4"];

        foreach (var member in members) Keys.Count(key => Rendezvous.Rank(key, member, members) == 0).ShouldBeInRange(200, 300);
    }

    [Fact]
    public void A_member_that_goes_moves_its_own_keys_alone_and_they_spread_too()
    {
        string[] before = ["gateway-1", "gateway-2", "gateway-3", "gateway-4"];
        string[] after = ["gateway-1", "gateway-2", "gateway-3"];
        string First(string key, string[] members) => members.Single(member => Rendezvous.Rank(key, member, members) == 0);

        foreach (var key in Keys.Where(key => First(key, before) != "gateway-4")) First(key, after).ShouldBe(First(key, before));
        Keys.Where(key => First(key, before) == "gateway-4").GroupBy(key => First(key, after)).Count().ShouldBe(3);
    }

    [Fact]
    public void The_order_of_members_does_not_matter_and_a_stranger_ranks_last()
    {
        Rendezvous.Rank("m", "b", ["a", "b", "c"]).ShouldBe(Rendezvous.Rank("m", "b", ["c", "b", "a"]));
        Rendezvous.Rank("m", "x", ["a", "b", "c"]).ShouldBe(3);
    }
}
