using System.Diagnostics.Metrics;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Requests of other services, as events.</summary>
public sealed class EventTests
{
    private const string Good = """{"endpoint":"/v1/chat/completions","body":{"model":"tiny","messages":[{"role":"user","content":"Hello"}]},"metadata":{"ticket":"42"}}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_event_is_a_request_whose_result_is_an_event()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await using var results = Results(gateway);

        await gateway.Backend.Events.PublishAsync(EventTopics.Requests, Event(Good), Token);
        var held = await gateway.TakeAsync();

        held.Request.Promise.ShouldBe(Promise.Id);
        Encoding.UTF8.GetString(held.Request.Body.Span).ShouldBe("""{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""");
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
        await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token);

        var result = await NextAsync(results);
        result.Subject.ShouldBe(held.Request.Id.Value);
        result.Type.ShouldBe("dev.serverless.request.completed");
        result.TraceParent.ShouldBe("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        var data = JsonElement.Parse(result.Data.Span);
        data.GetProperty("event").GetRawText().ShouldBe("""{"source":"/shop","id":"e-1"}""");
        data.GetProperty("metadata").GetRawText().ShouldBe("""{"ticket":"42"}""");
        data.GetProperty("response").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString().ShouldBe("Good day");
    }

    [Fact]
    public async Task An_event_that_comes_again_is_the_same_request()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var handler = HandlerOf(gateway);

        (await handler.HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        (await handler.HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        (await gateway.TakeAsync()).Request.Id.ShouldBe(held.Request.Id); // the queue and the dispatcher know the id
        await held.BeginAsync();
        await held.FinishAsync();
        await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token);

        (await handler.HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
        (await handler.HandleAsync(Event(Good) with { Source = "/other" }, Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        (await gateway.TakeAsync()).Request.Id.ShouldNotBe(held.Request.Id);
    }

    [Theory]
    [InlineData("no json", null)]
    [InlineData("[]", null)]
    [InlineData("\"a text\"", null)]
    [InlineData("""{"endpoint":"\ud800","body":{}}""", null)]
    [InlineData("""{"endpoint":"/v1/embeddings","body":{}}""", "endpoint")]
    [InlineData("""{"endpoint":"/v1/completions"}""", "body")]
    [InlineData("""{"endpoint":"/v1/completions","body":{"model":"absent","prompt":"x"}}""", "model")]
    [InlineData("""{"endpoint":"/v1/completions","body":{"model":"tiny"}}""", "prompt")]
    [InlineData("""{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"x"},"metadata":7}""", "metadata")]
    public async Task A_bad_event_is_answered_with_its_error_and_put_away(string data, string? param)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await using var results = Results(gateway);

        (await HandlerOf(gateway).HandleAsync(Event(data), Token)).Answer.ShouldBe(BrokerAnswer.DeadLetter);

        var result = await NextAsync(results);
        result.Type.ShouldBe("dev.serverless.request.failed");
        JsonElement.Parse(result.Data.Span).GetProperty("error").GetProperty("param").GetString().ShouldBe(param);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task A_result_that_the_bus_lost_is_published_again()
    {
        var lossy = new LossyBus();
        await using var gateway = await GatewayUnderTest.StartAsync(configure: services => services.AddSingleton<IEventBus>(provider => lossy.Over(provider.GetRequiredService<MemoryEventBus>())));
        await using var results = Results(gateway);
        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FinishAsync();

        (await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token).WithinLimitAsync()).ShouldBeTrue();

        lossy.Published.ShouldBe(2);
        (await NextAsync(results)).Subject.ShouldBe(held.Request.Id.Value);
    }

    [Fact]
    public async Task Whoever_sent_a_bad_event_is_told_though_the_bus_lost_it_before_it_is_put_away()
    {
        var lossy = new LossyBus();
        await using var gateway = await GatewayUnderTest.StartAsync(configure: services => services.AddSingleton<IEventBus>(provider => lossy.Over(provider.GetRequiredService<MemoryEventBus>())));
        await using var results = Results(gateway);

        (await HandlerOf(gateway).HandleAsync(Event("[]"), Token)).Answer.ShouldBe(BrokerAnswer.Retry);
        (await HandlerOf(gateway).HandleAsync(Event("[]"), Token)).Answer.ShouldBe(BrokerAnswer.DeadLetter);

        var told = await NextAsync(results);
        told.Type.ShouldBe("dev.serverless.request.failed");
        var read = await gateway.AskAsync(HttpMethod.Get, $"/v1/requests/{told.Subject}");
        (await read.Content.ReadAsStringAsync(Token)).ShouldBe(WithoutProof(told));
        (await HandlerOf(gateway).HandleAsync(Event("[]"), Token)).Answer.ShouldBe(BrokerAnswer.DeadLetter);
        lossy.Published.ShouldBe(2);
    }

    [Fact]
    public async Task An_event_that_is_refused_after_it_was_half_taken_ends_its_request()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await using var results = Results(gateway);
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));
        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Retry);
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.NotPermitted, "Not any more."));

        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.DeadLetter);

        (await NextAsync(results)).Type.ShouldBe("dev.serverless.request.failed");
    }

    [Theory]
    [InlineData(true, BrokerAnswer.Acknowledge)]
    [InlineData(false, BrokerAnswer.Retry)]
    public async Task An_event_that_comes_again_and_would_be_refused_now_does_not_end_what_was_taken_for_it(bool runs, BrokerAnswer answer)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        if (runs) await held.BeginAsync();
        gateway.Backend.Documents.MaxDocumentBytes = 4000; // its answer may be longer

        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(answer);

        if (!runs) await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
        await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token).WithinLimitAsync();
        (await (await gateway.AskAsync(HttpMethod.Get, $"/v1/requests/{held.Request.Id}")).Content.ReadAsStringAsync(Token)).ShouldContain("Good day");
    }

    [Fact]
    public async Task An_event_that_comes_again_while_the_queue_is_full_keeps_its_record()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));

        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Retry);

        (await gateway.Services.GetRequiredService<RequestRecords>().FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value.Record.Origin!.Id.ShouldBe("e-1");
    }

    [Fact]
    public async Task What_cannot_be_kept_now_is_not_acknowledged_and_is_taken_later()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var handler = HandlerOf(gateway);
        gateway.Backend.Documents.Away = true;
        (await handler.HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Retry);
        gateway.Backend.Documents.Away = false;
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));
        (await handler.HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Retry);
        gateway.Queue.Refusal = null;

        (await handler.HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);

        var held = await gateway.TakeAsync();
        (await gateway.Log.BeginAsync(held.Request.Id, 1, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.Begun);
    }

    private static IEventHandler HandlerOf(GatewayUnderTest gateway) => gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics[0] == EventTopics.Requests);

    private static CloudEvent Event(string data) => new()
    {
        Id = "e-1",
        Source = "/shop",
        Type = "shop.asked",
        TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        Data = Encoding.UTF8.GetBytes(data),
    };

    private static IAsyncEnumerator<CloudEvent> Results(GatewayUnderTest gateway) => gateway.Backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);

    private static async Task<CloudEvent> NextAsync(IAsyncEnumerator<CloudEvent> results)
    {
        (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        return results.Current;
    }

    /// <summary>Says that it has the first event, and has not.</summary>
    [Fact]
    public async Task A_forged_result_does_not_stand_for_the_true_one()
    {
        // Nothing that is published arrives: whoever says that it did is lying.
        await using var gateway = await GatewayUnderTest.StartAsync(configure: services => services.AddSingleton<IEventBus>(new DeafBus()));
        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FinishAsync();
        var records = gateway.Services.GetRequiredService<RequestRecords>();
        var stored = (await records.FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value;
        var ended = (await gateway.Services.GetRequiredService<RecordReader>().UpdateAsync(stored.Record, Token))!;
        (await records.ReplaceAsync(stored, ended, Token)).ShouldBeTrue();

        var echo = gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics[0] == EventTopics.Results);
        foreach (var proof in new[] { "", ",\"proof\":\"00000000000000000000000000000000\"", ",\"proof\":7" })
        {
            var forged = new CloudEvent { Id = held.Request.Id.Value, Source = "/serverless/gateway", Type = "x", Data = Encoding.UTF8.GetBytes($$"""{"organization":"local","team":"local"{{proof}}}""") };
            (await echo.HandleAsync(forged, Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
            (await records.FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value.Record.Published.ShouldBeFalse(proof);
        }

        await echo.HandleAsync(new CloudEvent { Id = held.Request.Id.Value, Source = "/serverless/gateway", Type = "x", Data = RequestObject.EncodeResult(ended) }, Token);
        (await records.FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value.Record.Published.ShouldBeTrue();
    }

    [Fact]
    public async Task A_result_that_nobody_subscribes_to_is_published_a_few_times_counted_and_done_with()
    {
        var time = new TestClock();
        var deaf = new DeafBus();
        await using var gateway = await GatewayUnderTest.StartAsync(configure: services => services.AddSingleton<IEventBus>(deaf), backend: new Backend(time));
        (await HandlerOf(gateway).HandleAsync(Event(Good), Token)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FinishAsync();
        using var unseen = new MetricCollector<long>(gateway.Services.GetRequiredService<IMeterFactory>(), "Serverless.Gateway", "serverless.gateway.unseen_results");

        var kept = gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token);
        await time.PassUntilAsync(kept);

        (await kept).ShouldBeTrue("its message is acknowledged");
        deaf.Published.ShouldBe(5);
        unseen.GetMeasurementSnapshot().Sum(one => one.Value).ShouldBe(1);
        (await (await gateway.AskAsync(HttpMethod.Get, $"/v1/requests/{held.Request.Id}")).Content.ReadAsStringAsync(Token)).ShouldContain("completed");
    }

    /// <summary>A result's data as the API shows the request.</summary>
    public static string WithoutProof(CloudEvent result) => Regex.Replace(Encoding.UTF8.GetString(result.Data.Span), ",\"proof\":\"[0-9a-f]{32}\"", "");

    private sealed class DeafBus : IEventBus
    {
        public int Published { get; private set; }

        public ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken)
        {
            Published++;
            return ValueTask.CompletedTask;
        }
    }

    private sealed class LossyBus : IEventBus
    {
        private MemoryEventBus? _bus;

        public int Published { get; private set; }

        public LossyBus Over(MemoryEventBus bus)
        {
            _bus = bus;
            return this;
        }

        public ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken) => Published++ == 0 ? ValueTask.CompletedTask : _bus!.PublishAsync(topic, cloudEvent, cancellationToken);
    }
}
