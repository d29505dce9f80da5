using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>What an event says beside its body, on which topics it comes, and in which order.</summary>
public sealed class EventFieldsTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Fields_beside_the_body_count()
    {
        await using var gateway = await StartAsync(("Gateway:Events:Owners:0", "acme/research"));
        var deadline = gateway.Backend.Time.GetUtcNow().AddMinutes(7);

        (await HandleAsync(gateway, "e-1", $$"""{"endpoint":"/v1/completions","body":{"prompt":"x"},"model":"tiny","owner":"acme/research","priority":"batch","conversation":"c-1","deadline":"{{deadline:O}}","later":{"field":1} }""")).Answer.ShouldBe(BrokerAnswer.Acknowledge);

        var request = (await gateway.TakeAsync()).Request;
        Encoding.UTF8.GetString(request.Body.Span).ShouldBe("""{"model":"tiny","prompt":"x"}""");
        request.Owner.ShouldBe(new Owner("acme", "research", "events"));
        request.Lane.ShouldBe(Lane.Batch);
        request.Conversation.ShouldBe("c-1");
        request.Deadline.ShouldBe(deadline, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Metadata_that_is_no_Unicode_is_refused_before_anything_is_kept()
    {
        await using var gateway = await StartAsync();

        var verdict = await HandleAsync(gateway, "e-1", Good("Hello", """
            "metadata":{"a":"\ud800"},
            """));

        (verdict.Answer, verdict.Fault!.Error).ShouldBe((BrokerAnswer.DeadLetter, ServingError.InvalidRequest));
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task The_same_event_of_another_owner_is_anothers_request()
    {
        await using var gateway = await StartAsync(("Gateway:Events:Owners:0", "*"));

        var ids = new List<string>();
        foreach (var owner in (string[])["", "\"owner\":\"acme/a\",", "\"owner\":\"acme/b\","])
        {
            (await HandleAsync(gateway, "e-1", Good("Hello", owner))).Answer.ShouldBe(BrokerAnswer.Acknowledge);
            ids.Add((await gateway.TakeAsync()).Request.Id.Value);
        }

        ids.ShouldBeUnique();
    }

    [Theory]
    [InlineData("another body", """{"endpoint":"/v1/chat/completions","body":{"model":"tiny","messages":[{"role":"user","content":"Bye"}]}}""")]
    [InlineData("another endpoint", """{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"Hello"}}""")]
    public async Task Something_else_under_the_same_source_and_id_is_a_named_fault_and_the_first_is_not_touched(string what, string other)
    {
        await using var gateway = await StartAsync();
        await using var results = gateway.Backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);
        (await HandleAsync(gateway, "e-1", Good("Hello"))).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();

        var refused = await HandleAsync(gateway, "e-1", other);

        refused.Answer.ShouldBe(BrokerAnswer.DeadLetter, what);
        refused.Fault!.Error.ShouldBe(ServingError.IdempotencyConflict);
        refused.Fault.Message.ShouldContain("Event 'e-1' of source '/shop'");
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
        foreach (var observer in gateway.Services.GetServices<IEndObserver>()) await observer.EndedAsync(new RequestEnd(held.Request, RequestOutcome.Finished, new TokenUsage(5, 2)), Token).WithinLimitAsync();
        (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        (results.Current.Type, results.Current.Subject).ShouldBe(("dev.serverless.request.completed", held.Request.Id.Value));
        (await HandleAsync(gateway, "e-1", other)).Fault!.Error.ShouldBe(ServingError.IdempotencyConflict, "after its end, too");
        (await HandleAsync(gateway, "e-1", Good("Hello"))).Answer.ShouldBe(BrokerAnswer.Acknowledge);
    }

    [Fact]
    public async Task Events_of_a_topic_that_is_configured_are_requests()
    {
        await using var gateway = await StartAsync(("Gateway:Events:Topics:0", "orders.placed"));

        await gateway.Backend.Events.PublishAsync("orders.placed", Event("e-1", Good("Hello")), Token);

        (await gateway.TakeAsync()).Request.Promise.ShouldBe(Promise.Id);
    }

    [Fact]
    public async Task An_event_whose_deadline_is_over_is_told_so_unless_it_was_taken_before()
    {
        var time = new TestClock();
        await using var gateway = await GatewayUnderTest.StartAsync(backend: new Backend(time));
        var data = Good("Hello", $"\"deadline\":\"{time.GetUtcNow().AddMinutes(1):O}\",");
        (await HandleAsync(gateway, "e-1", data)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        time.Advance(TimeSpan.FromMinutes(2));

        (await HandleAsync(gateway, "e-1", data)).Answer.ShouldBe(BrokerAnswer.Acknowledge, "it runs");
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task Events_of_a_conversation_are_taken_in_order_though_the_first_finds_no_room()
    {
        await using var gateway = await StartAsync();
        string InConversation(string name) => Good(name, "\"conversation\":\"c-1\",");
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));
        (await HandleAsync(gateway, "e-1", InConversation("first"))).Answer.ShouldBe(BrokerAnswer.Retry);
        gateway.Queue.Refusal = null;

        (await HandleAsync(gateway, "e-2", InConversation("second"))).Answer.ShouldBe(BrokerAnswer.Retry, "the first comes first");
        (await HandleAsync(gateway, "e-3", InConversation("third"))).Answer.ShouldBe(BrokerAnswer.Retry);
        (await HandleAsync(gateway, "f-1", Good("of another", "\"conversation\":\"c-2\","))).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        (await HandleAsync(gateway, "e-1", InConversation("first"))).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        (await HandleAsync(gateway, "e-3", InConversation("third"))).Answer.ShouldBe(BrokerAnswer.Retry, "the second came before it");
        (await HandleAsync(gateway, "e-2", InConversation("second"))).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        (await HandleAsync(gateway, "e-3", InConversation("third"))).Answer.ShouldBe(BrokerAnswer.Acknowledge);

        string[] taken = [await NextAsync(gateway), await NextAsync(gateway), await NextAsync(gateway), await NextAsync(gateway)];
        taken.ShouldBe(["of another", "first", "second", "third"]);
    }

    [Fact]
    public async Task One_of_a_conversation_that_is_refused_or_never_comes_again_holds_nobody_up()
    {
        var time = new TestClock();
        await using var gateway = await GatewayUnderTest.StartAsync(backend: new Backend(time));
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));
        (await HandleAsync(gateway, "e-1", Good("first", "\"conversation\":\"c-1\","))).Answer.ShouldBe(BrokerAnswer.Retry);
        gateway.Queue.Refusal = null;
        (await HandleAsync(gateway, "e-2", Good("second", "\"conversation\":\"c-1\","))).Answer.ShouldBe(BrokerAnswer.Retry);

        time.Advance(TimeSpan.FromMinutes(7));

        (await HandleAsync(gateway, "e-2", Good("second", "\"conversation\":\"c-1\","))).Answer.ShouldBe(BrokerAnswer.Acknowledge);
    }

    [Theory]
    [InlineData("Gateway:Events:Topics:0", "a b", "Gateway:Events:Topics has 'a b'; a topic has 1 to 200 letters")]
    [InlineData("Gateway:Events:Topics:0", "serverless.results", "Gateway:Events:Topics has 'serverless.results', which is the gateways' own")]
    [InlineData("Gateway:Events:Owners:0", "acme", "Gateway:Events:Owners has 'acme'; it takes ORGANIZATION/TEAM")]
    [InlineData("Gateway:Events:HighestLane", "vip", "Gateway:Events:HighestLane is 'vip'; it takes realtime, interactive or batch.")]
    public async Task Faulty_options_stop_the_start_with_key_value_and_remedy(string key, string value, string sentence)
    {
        var fault = await Should.ThrowAsync<OptionsValidationException>(() => StartAsync((key, value)));

        fault.Failures.ShouldContain(failure => failure.Contains(sentence, StringComparison.Ordinal), string.Join('\n', fault.Failures));
    }

    private static Task<GatewayUnderTest> StartAsync(params (string Key, string Value)[] settings) => GatewayUnderTest.StartAsync(settings.ToDictionary(setting => setting.Key, setting => (string?)setting.Value, StringComparer.Ordinal));

    private static ValueTask<BrokerVerdict> HandleAsync(GatewayUnderTest gateway, string id, string data) =>
        gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics.Contains(EventTopics.Requests)).HandleAsync(Event(id, data), Token);

    private static async Task<string> NextAsync(GatewayUnderTest gateway) =>
        JsonElement.Parse((await gateway.TakeAsync()).Request.Body.Span).GetProperty("messages")[0].GetProperty("content").GetString()!;

    private static CloudEvent Event(string id, string data) => new() { Id = id, Source = "/shop", Type = "shop.asked", Data = Encoding.UTF8.GetBytes(data) };

    private static string Good(string text, string fields = "") => $$$"""{{{{fields}}}"endpoint":"/v1/chat/completions","body":{"model":"tiny","messages":[{"role":"user","content":"{{{text}}}"}]}}""";
}
