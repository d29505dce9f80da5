using CsCheck;
using Serverless.Batches;
using Serverless.Gateway.Batches;
using Shouldly;

namespace Serverless.Tests.Gateway.Batches;

public sealed class BatchTurnsTests
{
    private const int Most = 16;

    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);

    [Fact]
    public void Of_one_organization_the_window_that_ends_first_is_next() =>
        BatchTurns.Next([Batch("a", 1, hours: 24), Batch("a", 2, hours: 1), Batch("a", 3, hours: 5)], [], Most, Now)!.Id.ShouldBe("a2");

    [Fact]
    public void The_organization_that_runs_the_fewest_is_next_whatever_its_window() =>
        BatchTurns.Next([Batch("a", 9, hours: 1), Batch("b", 1, hours: 24)], [Batch("a", 1), Batch("a", 2), Batch("b", 3)], Most, Now)!.Id.ShouldBe("b1");

    [Fact]
    public void None_is_next_while_all_places_are_taken_but_one_whose_window_is_over()
    {
        OpenBatch[] full = [.. Enumerable.Range(0, Most).Select(number => Batch("a", number))];

        BatchTurns.Next([Batch("b", 1)], full, Most, Now).ShouldBeNull();
        BatchTurns.Next([Batch("b", 1), Batch("c", 1, hours: -1)], full, Most, Now)!.Id.ShouldBe("c1");
        BatchTurns.Next([Batch("c", 1, hours: -1)], [.. full, .. full], Most, Now).ShouldBeNull();
    }

    [Fact]
    public void An_organization_that_has_all_places_makes_room_with_its_last_window()
    {
        OpenBatch[] full = [.. Enumerable.Range(0, Most).Select(number => Batch("a", number, hours: 1 + number))];

        BatchTurns.MakesRoom([Batch("b", 1)], full, Most)!.Id.ShouldBe("a15");
        BatchTurns.MakesRoom([Batch("a", 99)], full, Most).ShouldBeNull();
        BatchTurns.MakesRoom([Batch("b", 1)], full[1..], Most).ShouldBeNull("there is room");
        BatchTurns.MakesRoom([], full, Most).ShouldBeNull();
    }

    /// <summary>Whatever waits and runs: in the end no organization that waits has two places fewer than another, and nobody makes room for ever.</summary>
    [Fact]
    public void Places_come_to_be_shared_and_then_nobody_moves() => Gen.Int[0, 4].Array[0, 60].Sample(organizations =>
    {
        var waiting = organizations.Select((organization, number) => Batch($"o{organization}", number, hours: 1 + (number % 7))).ToList();
        var running = waiting.Take(Most).ToList();
        waiting.RemoveRange(0, running.Count);
        for (var moves = 0; ; moves++)
        {
            while (BatchTurns.Next(waiting, running, Most, Now) is { } next)
            {
                waiting.Remove(next);
                running.Add(next);
            }

            if (BatchTurns.MakesRoom(waiting, running, Most) is not { } less) break;
            running.Remove(less);
            waiting.Add(less);
            moves.ShouldBeLessThan(Most);
        }

        running.Count.ShouldBe(Math.Min(Most, organizations.Length));
        foreach (var organization in waiting.Select(batch => batch.Organization).Distinct())
        {
            var own = running.Count(batch => batch.Organization == organization);
            running.CountBy(batch => batch.Organization).ShouldAllBe(other => other.Value < own + 2);
        }
    });

    private static OpenBatch Batch(string organization, int number, int hours = 24) => new($"{organization}{number}", organization, $"{organization}|team", Now, Now + TimeSpan.FromHours(hours));
}
