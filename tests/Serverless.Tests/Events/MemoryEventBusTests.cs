using Serverless.Errors;
using Serverless.Events;
using Shouldly;

namespace Serverless.Tests.Events;

public sealed class MemoryEventBusTests
{
    private readonly MemoryEventBus _bus = new(TimeProvider.System, retryDelay: TimeSpan.Zero);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_reader_of_a_topic_gets_its_events_and_nobody_elses()
    {
        await using var first = _bus.SubscribeAsync("a", Token).Enumerate(Token);
        await using var second = _bus.SubscribeAsync("a", Token).Enumerate(Token);

        await _bus.PublishAsync("b", Event("x"), Token);
        await _bus.PublishAsync("a", Event("y"), Token);

        foreach (var reader in new[] { first, second })
        {
            (await reader.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            reader.Current.Id.ShouldBe("y");
        }
    }

    [Fact]
    public async Task A_handler_that_fails_or_asks_for_it_gets_the_event_again_and_what_it_gives_up_is_kept()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var handler = new ScriptedHandler(() => throw new InvalidOperationException(), () => BrokerAnswer.Retry, () => BrokerAnswer.DeadLetter, () => BrokerAnswer.Acknowledge);
        var delivery = _bus.DeliverAsync("a", handler, (_, _) => { }, stop.Token);
        await _bus.PublishAsync("a", Event("bad"), Token);
        await _bus.PublishAsync("a", Event("good"), Token);

        await handler.AllAnswered.WithinLimitAsync();

        handler.Seen.ShouldBe(["bad", "bad", "bad", "good"]);
        _bus.DeadLetters.Select(dead => dead.Id).ShouldBe(["bad"]);
        await stop.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => delivery);
    }

    [Fact]
    public async Task One_that_its_handler_always_fails_on_is_put_away_with_the_reason_and_others_are_served()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var handler = new ScriptedHandler([.. Enumerable.Repeat<Func<BrokerAnswer>>(() => throw new InvalidOperationException(), 60), () => BrokerAnswer.Acknowledge]);
        var delivery = _bus.DeliverAsync("a", handler, (_, _) => { }, stop.Token);
        await _bus.PublishAsync("a", Event("bad"), Token);
        await _bus.PublishAsync("a", Event("good"), Token);

        await handler.AllAnswered.WithinLimitAsync();

        handler.Seen[^1].ShouldBe("good");
        var dead = _bus.DeadLetters.Single();
        (dead.Id, dead.Extensions["deadlettercode"]).ShouldBe(("bad", "internal_error"));
        dead.Extensions["deadletterreason"].ShouldContain("60 times");
        await stop.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => delivery);
    }

    private static CloudEvent Event(string id) => new() { Id = id, Source = "/s", Type = "t" };

    private sealed class ScriptedHandler(params Func<BrokerAnswer>[] answers) : IEventHandler
    {
        private readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task AllAnswered => _all.Task;

        public List<string> Seen { get; } = [];

        public IReadOnlyList<string> Topics { get; } = ["a"];

        public ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
        {
            Seen.Add(cloudEvent.Id);
            if (Seen.Count == answers.Length) _all.SetResult();
            return new(new BrokerVerdict(answers[Seen.Count - 1]()));
        }
    }
}
