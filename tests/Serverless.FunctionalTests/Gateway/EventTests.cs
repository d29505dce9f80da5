using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Events;
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
        await gateway.Services.GetRequiredService<IPromiseKeeper>().KeepAsync(held.Request, Token);

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
        var handler = gateway.Services.GetRequiredService<IEventHandler>();

        (await handler.HandleAsync(Event(Good), Token)).ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        (await handler.HandleAsync(Event(Good), Token)).ShouldBe(BrokerAnswer.Acknowledge);
        (await gateway.TakeAsync()).Request.Id.ShouldBe(held.Request.Id); // the queue and the dispatcher know the id
        await held.BeginAsync();
        await held.FinishAsync();
        await gateway.Services.GetRequiredService<IPromiseKeeper>().KeepAsync(held.Request, Token);

        (await handler.HandleAsync(Event(Good), Token)).ShouldBe(BrokerAnswer.Acknowledge);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
        (await handler.HandleAsync(Event(Good) with { Source = "/other" }, Token)).ShouldBe(BrokerAnswer.Acknowledge);
        (await gateway.TakeAsync()).Request.Id.ShouldNotBe(held.Request.Id);
    }

    [Theory]
    [InlineData("no json", null)]
    [InlineData("[]", null)]
    [InlineData("""{"endpoint":"/v1/embeddings","body":{}}""", "endpoint")]
    [InlineData("""{"endpoint":"/v1/completions"}""", "body")]
    [InlineData("""{"endpoint":"/v1/completions","body":{"model":"absent","prompt":"x"}}""", "model")]
    [InlineData("""{"endpoint":"/v1/completions","body":{"model":"tiny"}}""", "prompt")]
    [InlineData("""{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"x"},"metadata":7}""", "metadata")]
    public async Task A_bad_event_is_answered_with_its_error_and_put_away(string data, string? param)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await using var results = Results(gateway);

        (await gateway.Services.GetRequiredService<IEventHandler>().HandleAsync(Event(data), Token)).ShouldBe(BrokerAnswer.DeadLetter);

        var result = await NextAsync(results);
        result.Type.ShouldBe("dev.serverless.request.failed");
        JsonElement.Parse(result.Data.Span).GetProperty("error").GetProperty("param").GetString().ShouldBe(param);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task What_cannot_be_kept_now_is_not_acknowledged_and_is_taken_later()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var handler = gateway.Services.GetRequiredService<IEventHandler>();
        gateway.Backend.Documents.Away = true;
        (await handler.HandleAsync(Event(Good), Token)).ShouldBe(BrokerAnswer.Retry);
        gateway.Backend.Documents.Away = false;
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));
        (await handler.HandleAsync(Event(Good), Token)).ShouldBe(BrokerAnswer.Retry);
        gateway.Queue.Refusal = null;

        (await handler.HandleAsync(Event(Good), Token)).ShouldBe(BrokerAnswer.Acknowledge);

        var held = await gateway.TakeAsync();
        (await gateway.Log.BeginAsync(held.Request.Id, 1, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.Begun);
    }

    private static CloudEvent Event(string data) => new()
    {
        Id = "e-1",
        Source = "/shop",
        Type = "shop.asked",
        TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        Data = Encoding.UTF8.GetBytes(data),
    };

    private static IAsyncEnumerator<CloudEvent> Results(GatewayUnderTest gateway) => gateway.Backend.Events.SubscribeAsync(EventTopics.Results, Token).GetAsyncEnumerator(Token);

    private static async Task<CloudEvent> NextAsync(IAsyncEnumerator<CloudEvent> results)
    {
        (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        return results.Current;
    }
}
