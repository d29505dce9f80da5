using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>The end of a request on the topic that its event named.</summary>
public sealed class EventReplyTests
{
    private const string Replies = "shop.answers";
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_result_is_told_where_the_event_asked_and_on_the_topic_of_all()
    {
        await using var gateway = await StartAsync();
        await using var all = gateway.Backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);
        await using var replies = gateway.Backend.Events.SubscribeAsync(Replies, Token).Enumerate(Token);
        (await HandleAsync(gateway, "e-1")).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();

        await EndAsync(gateway, held).WithinLimitAsync();
        await EndAsync(gateway, held).WithinLimitAsync(); // its message came again

        var (result, reply) = (await NextAsync(all), await NextAsync(replies));
        (reply.Type, reply.Subject, reply.Id, reply.TraceParent).ShouldBe(("dev.serverless.request.completed", held.Request.Id.Value, result.Id, Trace));
        Encoding.UTF8.GetString(reply.Data.Span).ShouldBe(EventTests.WithoutProof(result), "whoever reads answers cannot say that a result came back");
        (await HandleAsync(gateway, "e-2")).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var next = await gateway.TakeAsync();
        await next.BeginAsync();
        await next.FailAsync(ServingError.EngineFailed, "It broke.");
        await EndAsync(gateway, next, RequestOutcome.Failed).WithinLimitAsync();
        var failed = await NextAsync(replies);
        (failed.Type, failed.Subject).ShouldBe(("dev.serverless.request.failed", next.Request.Id.Value), "and the first was told once");
    }

    [Fact]
    public async Task Whoever_is_refused_is_told_there_too()
    {
        await using var gateway = await StartAsync();
        await using var replies = gateway.Backend.Events.SubscribeAsync(Replies, Token).Enumerate(Token);

        (await HandleAsync(gateway, "e-1", model: "absent")).Fault!.Error.ShouldBe(ServingError.ModelNotFound);

        var reply = await NextAsync(replies);
        JsonElement.Parse(reply.Data.Span).GetProperty("error").GetProperty("code").GetString().ShouldBe("model_not_found");
    }

    [Theory]
    [InlineData("others.answers")]
    [InlineData("serverless.results")]
    [InlineData("serverless.requests")]
    public async Task Nothing_is_told_on_a_topic_that_is_not_allowed(string topic)
    {
        await using var gateway = await StartAsync();

        var refused = await HandleAsync(gateway, "e-1", topic: topic);

        (refused.Answer, refused.Fault!.Error, refused.Fault.Param).ShouldBe((BrokerAnswer.DeadLetter, ServingError.NotPermitted, "replyTo"));
        refused.Fault.Message.ShouldContain($"'{topic}'");
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task A_topic_that_takes_nothing_holds_no_request_for_ever()
    {
        var time = new TestClock();
        var tries = 0;
        Func<Task> meanwhile = () => Task.CompletedTask;
        await using var gateway = await StartAsync(
            async (topic, _) =>
            {
                if (topic != Replies) return true;

                if (++tries == 3) await meanwhile();
                throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The topic is not allowed."));
            },
            new Backend(time));
        var records = gateway.Services.GetRequiredService<RequestRecords>();
        (await HandleAsync(gateway, "e-1")).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FinishAsync();

        meanwhile = async () =>
        {
            var stored = (await records.FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value;
            (await records.ReplaceAsync(stored, stored.Record, Token)).ShouldBeTrue("somebody else writes the record");
        };

        var ending = EndAsync(gateway, held);
        await time.PassUntilAsync(ending);

        await ending;
        tries.ShouldBe(16);
        (await records.FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value.Record.Published.ShouldBeTrue("it was told on the topic of all");
    }

    [Fact]
    public async Task An_answer_that_the_bus_does_not_take_for_its_size_goes_without_its_response()
    {
        await using var gateway = await StartAsync((topic, told) => topic == Replies && told.Data.Length > 4000 ? throw new ServingException(new ServingFault(ServingError.OutputTooLarge, "Too large.")) : new(true));
        await using var replies = gateway.Backend.Events.SubscribeAsync(Replies, Token).Enumerate(Token);
        (await HandleAsync(gateway, "e-1")).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync(new string('x', 5000), finish: FinishReason.Stop);
        await held.FinishAsync();

        await EndAsync(gateway, held).WithinLimitAsync();

        var data = JsonElement.Parse((await NextAsync(replies)).Data.Span);
        (data.GetProperty("status").GetString(), data.GetProperty("response").ValueKind).ShouldBe(("completed", JsonValueKind.Null));
    }

    [Theory]
    [InlineData("serverless.requests", "Gateway:Events:ReplyTopics has 'serverless.requests', whose events are requests")]
    [InlineData("serverless.streams", "Gateway:Events:ReplyTopics has 'serverless.streams', which is the gateways' own")]
    public async Task Faulty_topics_stop_the_start(string topic, string sentence)
    {
        var fault = await Should.ThrowAsync<OptionsValidationException>(() => GatewayUnderTest.StartAsync(new() { ["Gateway:Events:ReplyTopics:0"] = topic }));

        fault.Failures.ShouldContain(failure => failure.Contains(sentence, StringComparison.Ordinal), string.Join('\n', fault.Failures));
    }

    private static Task<GatewayUnderTest> StartAsync(Func<string, CloudEvent, ValueTask<bool>>? before = null, Backend? backend = null) => GatewayUnderTest.StartAsync(
        new() { ["Gateway:Events:ReplyTopics:0"] = Replies },
        services => services.AddSingleton<IEventBus>(provider => new HookedBus(provider.GetRequiredService<MemoryEventBus>(), before ?? ((_, _) => new(true)))),
        backend);

    private static ValueTask<BrokerVerdict> HandleAsync(GatewayUnderTest gateway, string id, string model = "tiny", string topic = Replies) =>
        gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics.Contains(EventTopics.Requests)).HandleAsync(
            new CloudEvent
            {
                Id = id,
                Source = "/shop",
                Type = "shop.asked",
                TraceParent = Trace,
                Data = Encoding.UTF8.GetBytes($$"""{"replyTo":"{{topic}}","model":"{{model}}","endpoint":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"Hello"}]} }"""),
            },
            Token);

    /// <summary>Tells all who are to be told of an end, in order, as the dispatcher does.</summary>
    private static async Task EndAsync(GatewayUnderTest gateway, HeldRequest held, RequestOutcome outcome = RequestOutcome.Finished)
    {
        foreach (var observer in gateway.Services.GetServices<IEndObserver>()) await observer.EndedAsync(new RequestEnd(held.Request, outcome, new TokenUsage(5, 2)), Token);
    }

    private static async Task<CloudEvent> NextAsync(IAsyncEnumerator<CloudEvent> events)
    {
        (await events.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        return events.Current;
    }
}
