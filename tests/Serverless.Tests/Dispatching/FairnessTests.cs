using CsCheck;
using Serverless.Dispatching;
using Serverless.Requests;
using Shouldly;
using static Serverless.Tests.Dispatching.BacklogScene;

namespace Serverless.Tests.Dispatching;

public sealed class FairnessTests
{
    private static readonly Gen<BacklogEntry> AnyEntry = Gen.Select(
        Gen.Int[0, 2], Gen.Int[0, 1], Gen.Int[0, 1], Gen.Int[1, 500], Gen.Int[1, 500],
        (organization, team, key, prompt, output) => Entry($"org {organization}", $"org {organization} team {team}", $"org {organization} team {team} key {key}", prompt: prompt, output: output));

    [Fact]
    public void A_lower_lane_is_served_only_when_those_above_are_empty()
    {
        var backlog = new Backlog();
        foreach (var lane in new[] { Lane.Batch, Lane.Interactive, Lane.Realtime, Lane.Batch, Lane.Realtime, Lane.Interactive }) backlog.Put(Entry(lane: lane));

        Lane[] served = [.. Enumerable.Range(0, 6).Select(_ => backlog.Serve().Request.Lane)];

        served.ShouldBe([Lane.Realtime, Lane.Realtime, Lane.Interactive, Lane.Interactive, Lane.Batch, Lane.Batch]);
    }

    [Fact]
    public void As_long_as_two_tenants_wait_neither_is_served_more_than_one_request_ahead_at_any_level() => AnyEntry.List[2, 200].Sample(
        entries =>
        {
            var backlog = new Backlog();
            foreach (var entry in entries) backlog.Put(entry);
            var most = entries.Max(Cost);
            var served = new Dictionary<string, double>(StringComparer.Ordinal);
            var waiting = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (var name in entries.SelectMany(Names)) waiting[name] = waiting.GetValueOrDefault(name) + 1;

            while (backlog.Peek() is not null)
            {
                var entry = backlog.Serve();
                foreach (var name in Names(entry))
                {
                    served[name] = served.GetValueOrDefault(name) + Cost(entry);
                    waiting[name]--;
                }

                foreach (var siblings in waiting.Where(tenant => tenant.Value > 0).GroupBy(tenant => Parent(tenant.Key)))
                {
                    var shares = siblings.Select(tenant => served.GetValueOrDefault(tenant.Key)).ToList();
                    (shares.Max() - shares.Min()).ShouldBeLessThanOrEqualTo(most, $"children of '{siblings.Key}'");
                }
            }
        },
        iter: 500);

    [Fact]
    public void Shares_are_of_tokens_not_of_requests()
    {
        var backlog = new Backlog();
        for (var i = 0; i < 100; i++)
        {
            backlog.Put(Entry("long", prompt: 800, output: 100)); // costs 1,000
            backlog.Put(Entry("short", prompt: 80, output: 10)); // costs 100
        }

        var served = Enumerable.Range(0, 55).Select(_ => backlog.Serve().Request.Owner.Organization).ToList();

        served.Count(owner => owner == "short").ShouldBe(50);
        served.Count(owner => owner == "long").ShouldBe(5);
    }

    [Fact]
    public void More_keys_or_teams_get_an_organization_no_larger_share()
    {
        var backlog = new Backlog();
        for (var i = 0; i < 40; i++)
        {
            backlog.Put(Entry("many", $"team {i % 4}", $"key {i % 8}"));
            backlog.Put(Entry("one"));
        }

        var served = Enumerable.Range(0, 40).Select(_ => backlog.Serve().Request.Owner.Organization).ToList();

        served.Count(owner => owner == "one").ShouldBe(20);
    }

    [Fact]
    public void A_flood_does_not_starve_who_comes_after_it() => Gen.Select(Gen.Int[1, 4], Gen.Int[1, 300], Gen.Int[1, 1000]).Sample(
        (organizations, flood, size) =>
        {
            var backlog = new Backlog();
            for (var i = 0; i < flood; i++) backlog.Put(Entry($"flood {i % organizations}", prompt: size));
            for (var i = 0; i < flood / 2; i++) backlog.Serve();
            var modest = Entry("modest");
            backlog.Put(modest);

            // Level with the least-served, so after at most one request of each of the others.
            for (var turns = 0; turns <= organizations; turns++)
            {
                backlog.Put(Entry($"flood {turns % organizations}", prompt: size));
                if (backlog.Serve() == modest) return;
            }

            throw new ShouldAssertException($"Not served within {organizations + 1} turns.");
        },
        iter: 500);

    [Theory]
    [InlineData(0)]
    [InlineData(5_000)]
    public void A_tenant_that_was_idle_is_not_owed_its_pause(int servedBefore)
    {
        var backlog = new Backlog();
        for (var served = 0; served < servedBefore; served += 30) ServeOne(backlog, "sleeper");
        for (var i = 0; i < 1000; i++) backlog.Put(Entry("busy"));
        for (var i = 0; i < 500; i++) backlog.Serve();

        for (var i = 0; i < 20; i++) backlog.Put(Entry("sleeper"));
        var next = Enumerable.Range(0, 20).Select(_ => backlog.Serve().Request.Owner.Organization).ToList();

        next.Count(owner => owner == "sleeper").ShouldBeInRange(9, 11);
    }

    [Fact]
    public void A_tenant_that_was_served_alone_owes_nothing_to_one_that_comes_later()
    {
        var backlog = new Backlog();
        for (var i = 0; i < 500; i++) ServeOne(backlog, "early");
        for (var i = 0; i < 20; i++)
        {
            backlog.Put(Entry("late"));
            backlog.Put(Entry("early"));
        }

        var next = Enumerable.Range(0, 20).Select(_ => backlog.Serve().Request.Owner.Organization).ToList();

        next.Count(owner => owner == "early").ShouldBeInRange(9, 11);
    }

    [Fact]
    public void What_is_returned_comes_first_of_its_tenant_and_is_charged_once() => AnyEntry.List[3, 60].Sample(
        entries =>
        {
            var (backlog, undisturbed) = (new Backlog(), new Backlog());
            foreach (var entry in entries)
            {
                backlog.Put(Again(entry));
                undisturbed.Put(Again(entry));
            }

            while (backlog.Peek() is { } next)
            {
                backlog.Take(next);
                if (next.Leaf!.Entries.Count > 0)
                {
                    var charged = next.Leaf.Counter;
                    backlog.Return(next);
                    next.Leaf.Counter.ShouldBe(charged - Cost(next), 1e-6);
                    backlog.Peek().ShouldBe(next);
                    backlog.Take(next);
                    next.Leaf.Counter.ShouldBe(charged, 1e-6);
                }

                backlog.Settle(next, next.ExpectedOutputTokens);
                undisturbed.Serve().Request.PromptTokens.ShouldBe(next.Request.PromptTokens);
            }
        },
        iter: 300);

    [Fact]
    public void An_answer_shorter_than_expected_is_charged_as_what_it_was()
    {
        var backlog = new Backlog();
        for (var i = 0; i < 40; i++)
        {
            backlog.Put(Entry("expected", output: 100));
            backlog.Put(Entry("short", output: 100));
        }

        var served = new List<string>();
        for (var i = 0; i < 22; i++)
        {
            var entry = backlog.Peek()!;
            backlog.Take(entry);
            served.Add(entry.Request.Owner.Organization);
            backlog.Settle(entry, entry.Request.Owner.Organization == "short" ? 5 : 100); // 20 against 210
        }

        served.Count(owner => owner == "expected").ShouldBeInRange(1, 3);
    }

    [Fact]
    public void Thousands_of_idle_tenants_are_forgotten()
    {
        var backlog = new Backlog();
        var kept = Entry("kept");
        backlog.Put(kept);
        backlog.Take(kept);
        var root = kept.Leaf!;

        for (var i = 0; i < 5000; i++) ServeOne(backlog, $"passing {i}");

        backlog.Settle(kept, 1);
        backlog.Count.ShouldBe(0);
        root.Counter.ShouldBe(10 + 2, 1e-6);
    }

    [Fact]
    public void A_tenant_whose_only_request_is_passed_over_is_not_forgotten_meanwhile()
    {
        var backlog = new Backlog();
        var parked = Entry("waits");
        backlog.Put(parked);
        backlog.Withhold(parked);

        for (var i = 0; i < 5000; i++) ServeOne(backlog, $"passing {i}");

        var next = Entry("waits");
        backlog.Put(next);
        next.Leaf.ShouldBeSameAs(parked.Leaf, "or it had two shares");
    }

    [Fact]
    public void A_conversation_runs_one_request_at_a_time_in_order()
    {
        var backlog = new Backlog();
        BacklogEntry[] turns = [.. Enumerable.Range(0, 3).Select(_ => Entry(conversation: "c"))];
        var other = Entry(conversation: "another");
        foreach (var turn in turns) backlog.Put(turn);
        backlog.Put(other);

        backlog.Take(turns[0]);
        backlog.Peek().ShouldBe(other);
        backlog.Take(other);
        backlog.Peek().ShouldBeNull();

        backlog.Return(turns[0]);
        backlog.Peek().ShouldBe(turns[0]);
        backlog.Take(turns[0]);
        backlog.Remove(turns[1]).ShouldBeTrue();
        backlog.Peek().ShouldBeNull();
        backlog.Settle(turns[0], 1);

        backlog.Peek().ShouldBe(turns[2]);
    }

    [Fact]
    public void Conversations_of_two_keys_with_one_name_are_two()
    {
        var backlog = new Backlog();
        backlog.Put(Entry(key: "one", conversation: "c"));
        backlog.Put(Entry(key: "two", conversation: "c"));

        backlog.Take(backlog.Peek()!);

        backlog.Peek().ShouldNotBeNull().Request.Owner.Key.ShouldBe("two");
    }

    [Theory]
    [InlineData("globex", "team")]
    [InlineData("org", "another")]
    public void Conversations_of_two_owners_with_one_name_are_two_though_their_events_come_under_one_key(string organization, string team)
    {
        var backlog = new Backlog();
        backlog.Put(Entry(key: "events", conversation: "c"));
        backlog.Put(Entry(organization, team, "events", conversation: "c"));

        backlog.Take(backlog.Peek()!);

        backlog.Peek().ShouldNotBeNull();
    }

    private static void ServeOne(Backlog backlog, string organization)
    {
        backlog.Put(Entry(organization));
        backlog.Serve();
    }

    private static BacklogEntry Again(BacklogEntry entry) => Entry(
        entry.Request.Owner.Organization, entry.Request.Owner.Team, entry.Request.Owner.Key, prompt: entry.Request.PromptTokens, output: entry.ExpectedOutputTokens);

    private static string[] Names(BacklogEntry entry) => [entry.Request.Owner.Organization, entry.Request.Owner.Team, entry.Request.Owner.Key];

    private static string Parent(string name) => name.Contains("key", StringComparison.Ordinal) ? name[..name.IndexOf(" key", StringComparison.Ordinal)]
        : name.Contains("team", StringComparison.Ordinal) ? name[..name.IndexOf(" team", StringComparison.Ordinal)] : "";
}
