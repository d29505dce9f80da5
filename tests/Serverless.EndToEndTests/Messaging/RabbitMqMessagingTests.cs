using System.Text;
using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using RabbitMQ.Client;
using Serverless.Contracts;
using Serverless.EndToEndTests.Parts;
using Serverless.EndToEndTests.RabbitMq;
using Serverless.Gateway.Messaging;
using Serverless.Hosting.Telemetry;
using Serverless.Requests;
using Shouldly;

namespace Serverless.EndToEndTests.Messaging;

/// <summary>Inference by messages on a real RabbitMQ, which is killed and fed with what is none.</summary>
public sealed class RabbitMqMessagingTests : IAsyncLifetime
{
    private const string Fast = """outputTokens: "12", decodeTokensPerSecond: "4000" """;

    private RabbitMqServer _broker = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(RabbitMqServer.Absent is not null, RabbitMqServer.Absent ?? "");
        _broker = await RabbitMqServer.StartNewAsync(Token);
    }

    public async ValueTask DisposeAsync()
    {
        if (_broker is not null) await _broker.DisposeAsync();
    }

    [Fact]
    public async Task A_request_is_answered_refused_and_cancelled_over_quorum_queues()
    {
        await using var platform = await BrokeredPlatform.StartAsync(_broker, """outputTokens: "64", decodeTokensPerSecond: "2" """);
        await using var service = await AskingService.StartAsync(_broker, "shop");

        var answer = await service.Client<SubmitInference>().GetResponse<InferenceCompleted, InferenceFailed>(Ask("hello", tokens: 2), Token).WithinLimitAsync();
        var refused = await service.Client<SubmitInference>().GetResponse<InferenceCompleted, InferenceFailed>(Ask("hello") with { Model = "absent" }, Token).WithinLimitAsync();
        var accepted = await service.Client<SubmitInference>().GetResponse<InferenceAccepted>(Ask("a long one", tokens: 64) with { ReplyWithId = true, ResultAddress = service.Address }, Token).WithinLimitAsync();
        var cancelled = await service.Client<CancelInference>().GetResponse<InferenceFailed>(new CancelInference { InferenceId = accepted.Message.InferenceId }, Token).WithinLimitAsync();

        answer.Is(out Response<InferenceCompleted>? completed).ShouldBeTrue();
        completed!.Message.Usage.CompletionTokens.ShouldBe(2);
        refused.Is(out Response<InferenceFailed>? failed).ShouldBeTrue();
        failed!.Message.Code.ShouldBe("model_not_found");
        cancelled.Message.Code.ShouldBe("request_cancelled");
        await service.UntilAsync(() => service.Failed.ContainsKey(accepted.Message.InferenceId));
        service.Failed[accepted.Message.InferenceId].Values.Single().Code.ShouldBe("request_cancelled");
        foreach (var queue in JsonElement.Parse(await _broker.ListQueuesAsync(Token)).EnumerateArray().Where(queue => queue.GetProperty("name").GetString()!.StartsWith("serverless-inference", StringComparison.Ordinal)))
        {
            queue.GetProperty("type").GetString().ShouldBe("quorum", queue.ToString());
        }
    }

    [Fact]
    public async Task Deltas_of_fifty_streams_are_in_order_and_complete()
    {
        await using var platform = await BrokeredPlatform.StartAsync(_broker, Fast);
        await using var service = await AskingService.StartAsync(_broker, "shop");

        for (var i = 0; i < 50; i++) await service.SendAsync(Ask($"stream {i}") with { WantDeltas = true, DeltaAddress = service.Address });
        await service.UntilAsync(() => service.Completed.Count == 50 && service.Deltas.Count == 50 && service.Deltas.Values.All(IsWhole));

        foreach (var (id, stream) in service.Deltas)
        {
            stream.Select(delta => delta.Sequence).ShouldBe(Enumerable.Range(1, stream.Count).Select(number => (long)number), id);
            stream[^1].ErrorCode.ShouldBeNull();
            string.Concat(stream.Select(delta => delta.Text)).ShouldBe(TextOf(service.Completed[id].Values.Single()), id);
        }
    }

    [Fact]
    public async Task Messages_that_come_twice_are_one_inference_each()
    {
        await using var platform = await BrokeredPlatform.StartAsync(_broker, Fast);
        await using var service = await AskingService.StartAsync(_broker, "shop");

        for (var i = 0; i < 60; i++)
        {
            var message = await service.SendAsync(Ask($"twice {i}"));
            await service.SendAsync(Ask($"twice {i}"), message);
        }

        await service.SendAsync(Ask("the last one") with { IdempotencyKey = "last" });
        await service.UntilAsync(() => service.Completed.Count == 61);

        service.Completed.Values.ShouldAllBe(results => results.Count == 1);
        service.Failed.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_killed_broker_loses_nothing_that_was_accepted_and_each_has_one_result()
    {
        await using var platform = await BrokeredPlatform.StartAsync(_broker, """outputTokens: "12", decodeTokensPerSecond: "150", slots: "8" """);
        await using var service = await AskingService.StartAsync(_broker, "shop");
        await service.SendAsync(Ask("first"));
        await service.UntilAsync(() => service.Completed.Count == 1);
        await _broker.SettleAsync(Token); // RabbitMQ 3.10 knows new quorum queues after a kill only then
        var bus = platform.Host.Services.GetServices<IDependency>().Single(part => part.Name == "masstransit");
        for (var i = 0; i < 60; i++) await service.SendAsync(Ask($"kept {i}") with { WantDeltas = true, DeltaAddress = service.Address });
        await service.UntilAsync(() => service.Completed.Count >= 10);

        await _broker.KillAsync();
        await UntilAsync(async () => await bus.FindFaultAsync(Token) is not null);
        await _broker.StartAsync(Token);

        try
        {
            await service.UntilAsync(() => service.Completed.Count == 61 && service.Deltas.Values.Count(IsWhole) == 60);
        }
        catch (InvalidOperationException exception)
        {
            var missing = service.Deltas.Keys.Except(service.Completed.Keys, StringComparer.Ordinal).ToArray();
            var records = platform.Host.Services.GetRequiredService<MessageRecords>();
            var kept = await Task.WhenAll(missing.Select(async id => (await records.FindAsync(new RequestId(id), Token))?.Record.ToString()));
            throw new InvalidOperationException($"{exception.Message}; without a result: {string.Join(", ", missing)}: {string.Join('\n', kept)}; {await _broker.ListQueuesAsync(Token)}", exception);
        }

        service.Completed.Values.ShouldAllBe(results => results.Count == 1);
        service.Failed.ShouldBeEmpty();
        foreach (var (id, stream) in service.Deltas)
        {
            stream.Select(delta => delta.Sequence).ShouldBe(Enumerable.Range(1, stream.Count).Select(number => (long)number), id);
            string.Concat(stream.Select(delta => delta.Text)).ShouldBe(TextOf(service.Completed[id].Values.Single()), id);
        }

        await UntilAsync(async () => await bus.FindFaultAsync(Token) is null);
    }

    [Fact]
    public async Task A_gateway_that_is_stopped_and_started_again_answers_what_it_took_and_what_came_meanwhile()
    {
        await using var platform = await BrokeredPlatform.StartAsync(_broker, """outputTokens: "12", decodeTokensPerSecond: "100", slots: "4" """, ("Gateway:Streaming:DrainTimeout", "00:00:01"));
        await using var service = await AskingService.StartAsync(_broker, "shop");
        for (var i = 0; i < 30; i++) await service.SendAsync(Ask($"before {i}"));
        await service.UntilAsync(() => service.Completed.Count >= 5);

        await platform.StopAsync();
        for (var i = 0; i < 10; i++) await service.SendAsync(Ask($"meanwhile {i}"));
        await platform.StartAsync();

        await service.UntilAsync(() => service.Completed.Count == 40);
        service.Completed.Values.ShouldAllBe(results => results.Count == 1);
        service.Failed.ShouldBeEmpty();
    }

    [Fact]
    public async Task What_is_no_message_of_ours_lies_in_the_queue_of_errors_and_the_gateway_goes_on()
    {
        await using var platform = await BrokeredPlatform.StartAsync(_broker, Fast);
        await using var service = await AskingService.StartAsync(_broker, "shop");
        await service.Client<SubmitInference>().GetResponse<InferenceCompleted>(Ask("there"), Token).WithinLimitAsync();
        await using var raw = await RawBroker.ConnectAsync(_broker, Token);
        string[] bodies =
        [
            "", "{", "null", "[]", "\0\u0001", "{}", """{"messageType":["urn:message:Serverless.Contracts:SubmitInference"]}""", """{"messageType":["urn:message:Serverless.Contracts:SubmitInference"],"message":7}""",
            """{"messageType":["urn:message:Serverless.Contracts:SubmitInference"],"message":{"body":[]}}""", """{"messageType":["urn:message:Serverless.Contracts:SubmitInference"],"message":{"timeout":"soon"}}""",
            """{"messageType":["urn:message:Serverless.Contracts:SubmitInference"],"message":{"body":"{}"}}""", """{"messageType":["urn:message:Other:Thing"],"message":{}}""", new string('{', 100_000),
        ];
        foreach (var (index, body) in bodies.Index())
        {
            var properties = new BasicProperties { ContentType = index % 2 == 0 ? "application/vnd.masstransit+json" : "application/octet-stream" };
            await raw.PublishAsync("serverless-inference", properties, Encoding.UTF8.GetBytes(body), Token);
        }

        await service.Client<SubmitInference>().GetResponse<InferenceCompleted>(Ask("still there"), Token).WithinLimitAsync();
        await UntilAsync(async () => await CountAsync("serverless-inference_error") + await CountAsync("serverless-inference_skipped") == bodies.Length);
        (await CountAsync("serverless-inference")).ShouldBe(0);
        (await raw.PeekAsync("serverless-inference_error", Token)).ShouldNotBeNull().BasicProperties.Headers!.ShouldContainKey("MT-Fault-Message");
    }

    [Fact]
    public async Task A_full_queue_holds_messages_back_and_all_are_served()
    {
        await using var platform = await BrokeredPlatform.StartAsync(_broker, """outputTokens: "12", decodeTokensPerSecond: "600", slots: "2" """, ("Queue:MaxRequests", "3"));
        await using var service = await AskingService.StartAsync(_broker, "shop");

        for (var i = 0; i < 30; i++) await service.SendAsync(Ask($"waits {i}"));
        await service.UntilAsync(() => service.Completed.Count == 30);

        service.Completed.Values.ShouldAllBe(results => results.Count == 1);
        service.Failed.ShouldBeEmpty();
    }

    private static SubmitInference Ask(string prompt, int tokens = 12) => new()
    {
        Body = JsonSerializer.Serialize(new { model = "sim", messages = new[] { new { role = "user", content = prompt } }, max_tokens = tokens }),
    };

    private static bool IsWhole(List<InferenceDelta> stream)
    {
        lock (stream) return stream.Count > 0 && stream[^1].IsLast;
    }

    private static string TextOf(InferenceCompleted completed) => JsonElement.Parse(completed.Body!).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    private async Task<int> CountAsync(string queue) => JsonElement.Parse(await _broker.ListQueuesAsync(Token)).EnumerateArray()
        .Where(one => one.GetProperty("name").GetString() == queue && one.TryGetProperty("messages_ready", out _)).Sum(one => one.GetProperty("messages_ready").GetInt32());

    private static async Task UntilAsync(Func<Task<bool>> wanted)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        while (!await wanted()) await pace.WaitForNextTickAsync(limit.Token);
    }
}
