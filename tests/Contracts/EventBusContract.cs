using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Serverless.Errors;
using Serverless.Events;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IEventBus"/> does, from a publisher to the handler of its topic and, where that refuses, to the dead letters.</summary>
public abstract class EventBusContract
{
    private static readonly ServingFault Refusal = new(ServingError.InvalidRequest, "'body' is missing: é.", "body");

    private readonly string _run = Guid.NewGuid().ToString("n");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_event_arrives_with_all_it_says()
    {
        var handler = new Handler();
        var bus = await StartAsync(handler);
        var sent = Event("a") with
        {
            Subject = "chatcmpl-1",
            Time = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
            TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            Data = Encoding.UTF8.GetBytes("""{"text":"é \n","number":1.5,"list":[{}]}"""),
        };

        await bus.PublishAsync(EventTopics.Requests, sent, Token);
        var got = await handler.NextAsync();

        got.ShouldBe(sent with { Data = got.Data, Time = got.Time });
        got.Time.ShouldNotBeNull("when the broker got it, where the broker says so itself");
        JsonNode.DeepEquals(JsonNode.Parse(got.Data.Span), JsonNode.Parse(sent.Data.Span)).ShouldBeTrue(Encoding.UTF8.GetString(got.Data.Span));
    }

    [Fact]
    public async Task An_event_of_a_topic_that_nobody_reads_is_published()
    {
        var bus = await StartAsync(new Handler());

        await bus.PublishAsync("serverless.nobody", Event("a"), Token);
    }

    [Fact]
    public async Task An_event_that_is_to_be_tried_again_comes_again()
    {
        var handler = new Handler(BrokerAnswer.Retry);
        var bus = await StartAsync(handler);

        await bus.PublishAsync(EventTopics.Requests, Event("a"), Token);

        (await handler.NextAsync()).Id.ShouldBe(Id("a"));
        await RetryAsync(handler.Next);
        (await handler.NextAsync()).Id.ShouldBe(Id("a"));
    }

    [Fact]
    public async Task An_event_whose_handler_fails_comes_again()
    {
        var handler = new Handler([null]);
        var bus = await StartAsync(handler);

        await bus.PublishAsync(EventTopics.Requests, Event("a"), Token);

        (await handler.NextAsync()).Id.ShouldBe(Id("a"));
        await RetryAsync(handler.Next);
        (await handler.NextAsync()).Id.ShouldBe(Id("a"));
    }

    [Fact]
    public async Task An_event_that_is_refused_goes_to_the_dead_letters_and_the_next_one_arrives()
    {
        var handler = new Handler(BrokerAnswer.DeadLetter);
        var bus = await StartAsync(handler);

        await bus.PublishAsync(EventTopics.Requests, Event("a") with { Data = Encoding.UTF8.GetBytes("""{"no":"request"}""") }, Token);
        (await handler.NextAsync()).Id.ShouldBe(Id("a"));
        await bus.PublishAsync(EventTopics.Requests, Event("b"), Token);

        (await handler.NextAsync()).Id.ShouldBe(Id("b"));
        var dead = await DeadLetterAsync(Id("a"));
        dead.Source.ShouldBe("/orders");
        Encoding.UTF8.GetString(dead.Data.Span).ShouldBe("""{"no":"request"}""");
        (dead.Extensions[DeadEvent.Code], dead.Extensions[DeadEvent.Param], dead.Extensions[DeadEvent.Topic]).ShouldBe(("invalid_request", "body", EventTopics.Requests));
        dead.Extensions[DeadEvent.Reason].ShouldBe(Refusal.Message);
    }

    [Fact]
    public async Task Events_of_many_publishers_all_arrive()
    {
        var handler = new Handler();
        var bus = await StartAsync(handler);
        var names = Enumerable.Range(0, 50).Select(number => $"event-{number}").ToArray();

        await Task.WhenAll(names.Select(name => Task.Run(async () => await bus.PublishAsync(EventTopics.Requests, Event(name), Token), Token)));

        HashSet<string> got = [];
        while (got.Count < names.Length) got.Add((await handler.NextAsync()).Id);
        got.ShouldBe(names.Select(Id), ignoreOrder: true);
    }

    /// <summary>A bus whose events of <see cref="EventTopics.Requests"/> reach <paramref name="handler"/> from now on. The subclass disposes of it.</summary>
    protected abstract Task<IEventBus> StartAsync(IEventHandler handler);

    /// <summary>Lets the pause before a retry pass; the event is <paramref name="next"/>.</summary>
    protected abstract Task RetryAsync(Task next);

    /// <summary>The dead letter of that id, once it is there.</summary>
    protected abstract Task<CloudEvent> DeadLetterAsync(string id);

    private string Id(string name) => $"{name}-{_run}";

    private CloudEvent Event(string name) => new() { Id = Id(name), Source = "/orders", Type = "dev.serverless.request", Data = Encoding.UTF8.GetBytes("{}") };

    /// <summary>Answers as it is told, then acknowledges; null is a failure of its own.</summary>
    private sealed class Handler(params BrokerAnswer?[] answers) : IEventHandler
    {
        private readonly ConcurrentQueue<BrokerAnswer?> _answers = new(answers);
        private readonly Channel<CloudEvent> _events = Channel.CreateBounded<CloudEvent>(1000);

        public IReadOnlyList<string> Topics { get; } = [EventTopics.Requests];

        /// <summary>Done when an event is there to be read.</summary>
        public Task Next => _events.Reader.WaitToReadAsync(Token).AsTask();

        public Task<CloudEvent> NextAsync() => _events.Reader.ReadAsync(Token).WithinLimitAsync();

        public ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
        {
            var answer = _answers.TryDequeue(out var told) ? told : BrokerAnswer.Acknowledge;
            _events.Writer.TryWrite(cloudEvent).ShouldBeTrue();
            return answer is { } given ? new(new BrokerVerdict(given, given == BrokerAnswer.DeadLetter ? Refusal : null)) : throw new InvalidOperationException("The handler fails, as the test asks.");
        }
    }
}
