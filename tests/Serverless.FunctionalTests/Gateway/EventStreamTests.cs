using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Outbound;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Output as events while it is made.</summary>
public sealed class EventStreamTests
{
    private const string Replies = "shop.answers";
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Deltas_of_200_streams_are_in_order_and_complete()
    {
        const int Streams = 200, Tokens = 20;
        var (gateway, bus) = await StartAsync();
        await using var closing = gateway;
        for (var i = 0; i < Streams; i++) await gateway.Backend.Events.PublishAsync(EventTopics.Requests, Event($"e-{i}"), Token);
        var held = new List<HeldRequest>();
        for (var i = 0; i < Streams; i++) held.Add(await gateway.TakeAsync());

        var serving = Task.WhenAll(held.Select(async request =>
        {
            await request.BeginAsync();
            for (var i = 0; i < Tokens; i++) await request.SayAsync($"{i} ", finish: i == Tokens - 1 ? FinishReason.Stop : null);
            await request.FinishAsync();
        }));

        var seen = new Dictionary<string, (long Last, string Text)>(StringComparer.Ordinal);
        for (var ended = 0; ended < Streams;)
        {
            var (told, delta) = await NextAsync(bus);
            var (last, text) = seen.GetValueOrDefault(told.Subject!, (0, ""));
            delta.GetProperty("sequence").GetInt64().ShouldBe(last + 1);
            (told.Type, told.Id, told.Source, told.TraceParent).ShouldBe(("dev.serverless.request.delta", $"{told.Subject}.{last + 1}", "/serverless/gateway", Trace));
            seen[told.Subject!] = (last + 1, text + delta.GetProperty("text").GetString());
            if (!delta.GetProperty("last").GetBoolean())
            {
                delta.GetProperty("chunk").GetProperty("object").GetString().ShouldBe("chat.completion.chunk");
                continue;
            }

            delta.GetProperty("error").ValueKind.ShouldBe(JsonValueKind.Null);
            delta.GetProperty("event").GetProperty("source").GetString().ShouldBe("/shop");
            ended++;
        }

        await serving.WithinLimitAsync();
        seen.Count.ShouldBe(Streams);
        seen.Values.ShouldAllBe(stream => stream.Last == Tokens + 3 && stream.Text == string.Concat(Enumerable.Range(0, Tokens).Select(i => $"{i} ")), "an opening, each token, the finish, the last one");
    }

    [Fact]
    public async Task A_stream_that_fails_says_so_in_its_last_delta()
    {
        var (gateway, bus) = await StartAsync();
        await using var closing = gateway;
        await gateway.Backend.Events.PublishAsync(EventTopics.Requests, Event("e-1"), Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Hi");
        await held.FailAsync(ServingError.EngineFailed, "It broke.");

        JsonElement[] deltas = [(await NextAsync(bus)).Data, (await NextAsync(bus)).Data, (await NextAsync(bus)).Data];

        deltas[1].GetProperty("text").GetString().ShouldBe("Hi");
        deltas[2].GetProperty("last").GetBoolean().ShouldBeTrue();
        deltas[2].GetProperty("error").GetProperty("code").GetString().ShouldBe("engine_failed");
    }

    [Fact]
    public async Task A_bus_that_is_slow_holds_its_stream_up_and_no_other()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waits = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        string? slow = null;
        var (gateway, bus) = await StartAsync(async (topic, told) =>
        {
            if (topic != Replies || told.Subject != slow || !told.Id.EndsWith(".2", StringComparison.Ordinal)) return true;

            waits.TrySetResult();
            await gate.Task;
            return true;
        });
        await using var closing = gateway;
        await gateway.Backend.Events.PublishAsync(EventTopics.Requests, Event("e-1"), Token);
        var held = await gateway.TakeAsync();
        slow = held.Request.Id.Value;
        await ServeAsync(held);
        await waits.Task.WithinLimitAsync();

        await gateway.Backend.Events.PublishAsync(EventTopics.Requests, Event("e-2"), Token);
        var other = await gateway.TakeAsync();
        await ServeAsync(other); // its engine is not held up either

        var seen = new List<string>();
        while (!seen.Contains($"{other.Request.Id}.5")) seen.Add((await NextAsync(bus)).Told.Id);
        seen.ShouldNotContain($"{slow}.2");
        seen.ShouldNotContain($"{slow}.3");
        gate.SetResult();
        string[] rest = [(await NextAsync(bus)).Told.Id, (await NextAsync(bus)).Told.Id, (await NextAsync(bus)).Told.Id, (await NextAsync(bus)).Told.Id];
        rest.ShouldBe([$"{slow}.2", $"{slow}.3", $"{slow}.4", $"{slow}.5"]);
    }

    [Fact]
    public async Task What_another_gateway_began_goes_on_from_there_and_a_stopping_one_hands_it_on()
    {
        var handedOn = new ConcurrentQueue<CloudEvent>();
        var (gateway, bus) = await StartAsync((topic, told) =>
        {
            if (topic != EventTopics.Streams) return new(true);

            handedOn.Enqueue(told); // nobody takes it up but this test
            return new(false);
        });
        await using var closing = gateway;
        (await HandlerOf(gateway, EventTopics.Requests).HandleAsync(Event("e-1"), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("a");
        await held.SayAsync("b");
        await held.SayAsync("c");

        var streaming = HandlerOf(gateway, EventTopics.Streams).HandleAsync(Stream(held.Request.Id.Value, after: 2), Token).AsTask();
        (await NextAsync(bus)).Data.GetProperty("text").GetString().ShouldBe("b");
        var (told, delta) = await NextAsync(bus);
        (told.Id, delta.GetProperty("text").GetString()).ShouldBe(($"{held.Request.Id}.4", "c"));
        gateway.BeginStop();
        await held.SayAsync("d");

        (await streaming.WithinLimitAsync()).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var after = handedOn.Select(one => JsonElement.Parse(one.Data.Span).GetProperty("after").GetInt64()).ToArray();
        after[0].ShouldBe(0, "when it was taken");
        after[^1].ShouldBeInRange(4, 5, "where this gateway stopped");
    }

    [Fact]
    public async Task Whoever_may_publish_sends_nobodys_output_anywhere()
    {
        var (gateway, bus) = await StartAsync();
        await using var closing = gateway;
        (await HandlerOf(gateway, EventTopics.Requests).HandleAsync(Event("e-1", deltas: false), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await ServeAsync(held);

        (await HandlerOf(gateway, EventTopics.Streams).HandleAsync(Stream(held.Request.Id.Value, after: 0), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge, "it wants no deltas");
        (await HandlerOf(gateway, EventTopics.Streams).HandleAsync(Stream("chatcmpl-none", after: 0), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge, "it is not there");
        (await HandlerOf(gateway, EventTopics.Streams).HandleAsync(Stream("x", after: 0) with { Data = Encoding.UTF8.GetBytes("[]") }, Token)).Answer.ShouldBe(BrokerAnswer.DeadLetter);

        bus.Of(Replies).TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task Deltas_want_a_topic()
    {
        var (gateway, _) = await StartAsync();
        await using var closing = gateway;

        var refused = await HandlerOf(gateway, EventTopics.Requests).HandleAsync(Event("e-1") with { Data = Encoding.UTF8.GetBytes("""{"deltas":true,"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"x"}}""") }, Token);

        (refused.Fault!.Error, refused.Fault.Param).ShouldBe((ServingError.InvalidRequest, "replyTo"));
    }

    private static async Task<(GatewayUnderTest Gateway, HookedBus Bus)> StartAsync(Func<string, CloudEvent, ValueTask<bool>>? before = null)
    {
        HookedBus? bus = null;
        var gateway = await GatewayUnderTest.StartAsync(
            new() { ["Gateway:Events:ReplyTopics:0"] = Replies },
            services => services.AddSingleton<IEventBus>(provider => bus = new HookedBus(provider.GetRequiredService<MemoryEventBus>(), before ?? ((_, _) => new(true)))));
        gateway.Services.GetRequiredService<EventStreams>();
        return (gateway, bus!);
    }

    private static IEventHandler HandlerOf(GatewayUnderTest gateway, string topic) => gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics.Contains(topic));

    private static async Task ServeAsync(HeldRequest held)
    {
        await held.BeginAsync();
        await held.SayAsync("a");
        await held.SayAsync("b");
        await held.SayAsync("", finish: FinishReason.Stop);
        await held.FinishAsync();
    }

    private static async Task<(CloudEvent Told, JsonElement Data)> NextAsync(HookedBus bus)
    {
        var told = await bus.Of(Replies).ReadAsync(Token).WithinLimitAsync();
        return (told, JsonElement.Parse(told.Data.Span));
    }

    private static CloudEvent Event(string id, bool deltas = true) => new()
    {
        Id = id,
        Source = "/shop",
        Type = "shop.asked",
        TraceParent = Trace,
        Data = Encoding.UTF8.GetBytes($$"""{"replyTo":"{{Replies}}","deltas":{{(deltas ? "true" : "false")}},"endpoint":"/v1/chat/completions","body":{"model":"tiny","messages":[{"role":"user","content":"Hello"}]} }"""),
    };

    private static CloudEvent Stream(string id, long after) => new()
    {
        Id = $"{id}.after.{after}",
        Source = "/serverless/gateway",
        Type = "dev.serverless.stream",
        Data = Encoding.UTF8.GetBytes($$"""{"id":"{{id}}","organization":"local","team":"local","after":{{after}}}"""),
    };
}
