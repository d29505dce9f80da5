using CsCheck;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Requests;

/// <summary>A queue that one organization fills stays open to the others.</summary>
public sealed class QueueGaugeTests
{
    private const int Limit = 60;

    private static readonly Gen<(int Organization, int Tokens, bool Leaves)> Step = Gen.Select(Gen.Int[0, 11], Gen.Int[1, 30], Gen.Bool);

    [Fact]
    public void Beside_a_full_queue_another_organization_gets_in_up_to_its_share()
    {
        var gauge = new QueueGauge(TestRequests.Model, new QueueLimits { MaxRequests = 100 });
        while (TryAdd(gauge, "greedy", 1)) { }

        gauge.Held.Requests.ShouldBe(100);
        for (var i = 0; i < 50; i++) TryAdd(gauge, "modest", 1).ShouldBeTrue($"request {i}");
        var fault = Check(gauge, "modest", 1).ShouldNotBeNull();

        fault.Error.ShouldBe(ServingError.QueueFull);
        fault.Message.ShouldContain("2 organizations share: 50 each, and yours holds 50");
        Check(gauge, "greedy", 1).ShouldNotBeNull();
        Check(gauge, "third", 1).ShouldBeNull();
    }

    [Fact]
    public void What_others_hold_elsewhere_counts_who_they_are()
    {
        var gauge = new QueueGauge(TestRequests.Model, new QueueLimits { MaxRequests = 100 });
        var elsewhere = new QueueLoad(100, 0, 0);

        gauge.Check("modest", new QueueLoad(1, 0, 0), elsewhere, default, 0, ["greedy"]).ShouldBeNull();
        gauge.Check("modest", new QueueLoad(1, 0, 0), elsewhere, new QueueLoad(50, 0, 0), 0, ["greedy", "modest"]).ShouldNotBeNull();
        gauge.Check("modest", new QueueLoad(1, 0, 0), elsewhere, new QueueLoad(49, 0, 0), 0, ["greedy", "modest"]).ShouldBeNull();
    }

    /// <summary>Organizations come, ask for any size, and go, in any order.</summary>
    [Fact]
    public void Nobody_is_refused_below_its_share_and_the_queue_never_passes_its_bound() => Step.List[1, 300].Sample(steps =>
    {
        var gauge = new QueueGauge(TestRequests.Model, new QueueLimits { MaxTokens = Limit });
        var held = new Dictionary<int, List<int>>();
        foreach (var (organization, tokens, leaves) in steps)
        {
            var own = held.GetValueOrDefault(organization, []);
            if (leaves && own.Count > 0)
            {
                gauge.Remove($"{organization}", Load(own[^1]));
                own.RemoveAt(own.Count - 1);
                if (own.Count == 0) held.Remove(organization);
                continue;
            }

            var organizations = held.Keys.Append(organization).Distinct().Count();
            var total = held.Values.Sum(each => each.Sum());
            if (TryAdd(gauge, $"{organization}", tokens)) held[organization] = [.. own, tokens];
            else (own.Sum() + tokens).ShouldBeGreaterThan(Limit / organizations, $"{total} held, {own.Sum()} of them by {organization}, which wants {tokens}");

            gauge.Held.Tokens.ShouldBe(held.Values.Sum(each => each.Sum()));
            var harmonic = Enumerable.Range(1, Math.Max(1, held.Count)).Sum(k => 1.0 / k);
            ((double)gauge.Held.Tokens).ShouldBeLessThanOrEqualTo(Limit * Math.Min(harmonic, QueueGauge.MostOvercommit) + 1e-9);
        }
    });

    [Fact]
    public void With_more_organizations_than_shares_can_be_kept_for_the_absolute_bound_holds()
    {
        var gauge = new QueueGauge(TestRequests.Model, new QueueLimits { MaxTokens = 1000 });
        for (var organization = 0; organization < 200; organization++)
        {
            while (TryAdd(gauge, $"{organization}", 1)) { }
        }

        gauge.Held.Tokens.ShouldBe(4000);
    }

    [Fact]
    public void Limits_that_make_no_sense_are_told_all_at_once()
    {
        new QueueLimits().Faults().ShouldBeEmpty();

        new QueueLimits { MaxRequests = 0, MaxTokens = -5, MaxBytes = 0, MaxTotalBytes = 0, TenantShare = double.NaN }.Faults().ShouldBe([
            "Queue:MaxRequests is 0; it must be at least 1.",
            "Queue:MaxTokens is -5; it must be at least 1.",
            "Queue:MaxBytes is 0; it must be at least 1.",
            "Queue:MaxTotalBytes is 0; it must be at least 1.",
            "Queue:TenantShare is NaN; it must be above 0 and at most 1.",
        ]);
    }

    private static bool TryAdd(QueueGauge gauge, string organization, int tokens)
    {
        if (Check(gauge, organization, tokens) is not null) return false;
        gauge.Add(organization, Load(tokens));
        return true;
    }

    private static ServingFault? Check(QueueGauge gauge, string organization, int tokens) => gauge.Check(organization, Load(tokens), default, default, 0);

    private static QueueLoad Load(int tokens) => new(1, tokens, 1);
}
