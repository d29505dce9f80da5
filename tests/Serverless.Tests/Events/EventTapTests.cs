using Serverless.Events;
using Shouldly;

namespace Serverless.Tests.Events;

/// <summary>Whoever looks on at events.</summary>
public sealed class EventTapTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_passes_is_seen_by_each_who_looks_on_and_by_nobody_else()
    {
        var tap = new EventTap();
        tap.Saw("a", Event("before"));
        using var all = tap.Watch([]);
        using (var ofA = tap.Watch(["a"]))
        {
            tap.Saw("b", Event("1"));
            tap.Saw("a", Event("2"));

            await ofA.WaitAsync(Token);
            ofA.TryRead(out var seen).ShouldBeTrue();
            (seen.Topic, seen.Event.Id, seen.Missed).ShouldBe(("a", "2", 0));
            ofA.TryRead(out _).ShouldBeFalse();
        }

        tap.Saw("a", Event("3"));
        Ids(all).ShouldBe(["1", "2", "3"]);
    }

    [Theory]
    [InlineData(1000, 1)]
    [InlineData(16, 1024 * 1024)]
    public void Who_reads_too_slowly_is_told_how_many_it_missed_and_holds_no_more_than_the_bound(int most, int bytes)
    {
        var tap = new EventTap();
        using var watch = tap.Watch([]);
        for (var number = 0; number < most + 3; number++) tap.Saw("a", Event($"{number}", bytes));

        Ids(watch).ShouldBe(Enumerable.Range(0, most).Select(number => $"{number}"));
        tap.Saw("a", Event("after", bytes));

        watch.TryRead(out var seen).ShouldBeTrue();
        (seen.Event.Id, seen.Missed).ShouldBe(("after", 3));
    }

    private static IEnumerable<string> Ids(EventWatch watch)
    {
        while (watch.TryRead(out var seen)) yield return seen.Event.Id;
    }

    private static CloudEvent Event(string id, int bytes = 1) => new() { Id = id, Source = "/test", Type = "test", Data = new byte[bytes] };
}
