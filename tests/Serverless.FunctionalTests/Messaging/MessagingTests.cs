using System.Text;
using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Events;
using Serverless.FunctionalTests.Gateway;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Messaging;

/// <summary>Inference for services that speak MassTransit, over its in-memory transport.</summary>
public sealed class MessagingTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_has_its_answer_as_the_response()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var correlation = NewId.NextGuid();

        var asking = service.AskAsync(MessagingUnderTest.Good with { CorrelationId = correlation, Metadata = new Dictionary<string, string> { ["ticket"] = "42" } });
        var held = await service.ServeAsync("Good ", "day");

        held.Request.Promise.ShouldBe(Promise.Id, "it is on disk before the message is acknowledged");
        Encoding.UTF8.GetString(held.Request.Body.Span).ShouldBe(MessagingUnderTest.Body);
        (await asking.WithinLimitAsync()).Is(out Response<InferenceCompleted>? answer).ShouldBeTrue();
        var completed = answer!.Message;
        completed.InferenceId.ShouldBe(held.Request.Id.Value);
        completed.CorrelationId.ShouldBe(correlation);
        completed.Model.ShouldBe("tiny");
        completed.Endpoint.ShouldBe("chat/completions");
        completed.Usage.ShouldBe(new InferenceUsage { PromptTokens = 5, CompletionTokens = 2, CachedTokens = 1 });
        completed.FinishReasons.ShouldBe(["stop"]);
        completed.Metadata!["ticket"].ShouldBe("42");
        completed.EndedAt.ShouldBeGreaterThanOrEqualTo(completed.CreatedAt.AddSeconds(-1));
        JsonElement.Parse(completed.Body!).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString().ShouldBe("Good day");
        answer.Headers.Get<string>("MT-Fault-Message").ShouldBeNull();
    }

    [Theory]
    [InlineData("chat/embeddings", MessagingUnderTest.Body, null, "invalid_request", "Endpoint")]
    [InlineData("chat/completions", "", null, "invalid_request", "Body")]
    [InlineData("chat/completions", "no json", null, "invalid_request", null)]
    [InlineData("chat/completions", """{"model":"absent","messages":[{"role":"user","content":"x"}]}""", null, "model_not_found", "model")]
    [InlineData("chat/completions", """{"model":"tiny"}""", null, "invalid_request", "messages")]
    [InlineData("completions", """{"model":"tiny"}""", null, "invalid_request", "prompt")]
    [InlineData("chat/completions", MessagingUnderTest.Body, "realtime", "not_permitted", "Lane")]
    [InlineData("chat/completions", MessagingUnderTest.Body, "fast", "invalid_request", "Lane")]
    public async Task What_is_refused_is_told_to_who_waits_and_is_no_error_of_the_queue(string endpoint, string body, string? lane, string code, string? param)
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var errors = await service.ListenAsync<SubmitInference>("serverless-inference_error");

        var response = await service.AskAsync(new SubmitInference { Endpoint = endpoint, Body = body, Lane = lane }).WithinLimitAsync();

        response.Is(out Response<InferenceFailed>? failed).ShouldBeTrue();
        (failed!.Message.Code, failed.Message.Param, failed.Message.Retryable).ShouldBe((code, param, false), failed.Message.Message);
        service.Gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
        errors.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task What_is_refused_and_nobody_waits_for_is_published_and_lies_in_the_queue_of_errors_with_the_reason()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var errors = await service.ListenAsync<SubmitInference>("serverless-inference_error");
        var failures = await service.ListenAsync<InferenceFailed>("shop", published: true);

        var message = await service.SendAsync(MessagingUnderTest.Good with { Model = "absent" });

        (await MessagingUnderTest.NextAsync(failures)).Message.Code.ShouldBe("model_not_found");
        var error = await MessagingUnderTest.NextAsync(errors);
        error.MessageId.ShouldBe(message);
        error.ReceiveContext.TransportHeaders.Get<string>("MT-Fault-Message").ShouldNotBeNull().ShouldStartWith("model_not_found: The model 'absent' does not exist");
    }

    [Fact]
    public async Task A_fault_address_hears_of_a_refusal_and_a_result_address_of_a_result()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var faults = await service.ListenAsync<InferenceFailed>("shop-faults");
        var results = await service.ListenAsync<InferenceCompleted>("shop-results");

        await service.SendAsync(MessagingUnderTest.Good with { Model = "absent" }, with: context => context.FaultAddress = new Uri("exchange:shop-faults"));
        await service.SendAsync(MessagingUnderTest.Good with { ResultAddress = new Uri("exchange:shop-results") });
        var held = await service.ServeAsync("Hi");

        (await MessagingUnderTest.NextAsync(faults)).Message.Code.ShouldBe("model_not_found");
        (await MessagingUnderTest.NextAsync(results)).Message.InferenceId.ShouldBe(held.Request.Id.Value);
    }

    [Theory]
    [InlineData("{ this is no JSON")]
    [InlineData("""{"messageType":["urn:message:Serverless.Contracts:SubmitInference"],"message":"a text"}""")]
    [InlineData("""{"messageType":["urn:message:Serverless.Contracts:SubmitInference"],"message":{"body":{"model":"tiny"}}}""")]
    public async Task A_malformed_message_lies_in_the_queue_of_errors_with_the_reason_and_others_are_served(string body)
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var errors = new TaskCompletionSource<ReceiveContext>(TaskCreationOptions.RunContinuationsAsynchronously);
        service.Bus.ConnectReceiveObserver(new ErrorObserver(errors));

        await service.SendRawAsync(body);

        (await errors.Task.WithinLimitAsync()).IsFaulted.ShouldBeTrue();
        var asking = service.AskAsync(MessagingUnderTest.Good);
        await service.ServeAsync("Hi");
        (await asking.WithinLimitAsync()).Is(out Response<InferenceCompleted>? _).ShouldBeTrue();
    }

    [Fact]
    public async Task An_id_is_given_at_once_and_the_result_is_published()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var results = await service.ListenAsync<InferenceCompleted>("shop", published: true);

        var accepted = await service.Client<SubmitInference>().GetResponse<InferenceAccepted>(MessagingUnderTest.Good with { ReplyWithId = true, Timeout = TimeSpan.FromMinutes(7) }, Token).WithinLimitAsync();
        var held = await service.ServeAsync("Hi");

        accepted.Message.InferenceId.ShouldBe(held.Request.Id.Value);
        accepted.Message.Deadline.ShouldBe(held.Request.Deadline);
        (held.Request.Deadline - held.Request.AcceptedAt).ShouldBe(TimeSpan.FromMinutes(7));
        (await MessagingUnderTest.NextAsync(results)).Message.InferenceId.ShouldBe(held.Request.Id.Value);
        (await service.Gateway.AskAsync(HttpMethod.Get, $"/v1/requests/{held.Request.Id}")).IsSuccessStatusCode.ShouldBeTrue();
    }

    [Fact]
    public async Task Fields_beside_the_body_count()
    {
        await using var service = await MessagingUnderTest.StartAsync();

        await service.SendAsync(new SubmitInference { Endpoint = "completions", Body = """{"prompt":"x","model":"absent"}""", Model = "tiny", Lane = "batch", Conversation = "c-1" });
        var held = await service.Gateway.TakeAsync();

        Encoding.UTF8.GetString(held.Request.Body.Span).ShouldBe("""{"prompt":"x","model":"tiny"}""");
        held.Request.Lane.ShouldBe(Lane.Batch);
        held.Request.Conversation.ShouldBe("c-1");
        held.Request.Owner.ShouldBe(new Owner("local", "local", "messages"));
    }

    [Fact]
    public async Task The_same_message_twice_is_one_inference_and_another_body_under_its_id_is_a_named_fault()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var message = NewId.NextGuid();

        var first = service.AskAsync(MessagingUnderTest.Good, message);
        var held = await service.Gateway.TakeAsync();
        await held.BeginAsync();
        var second = service.AskAsync(MessagingUnderTest.Good, message); // it runs: nothing is enqueued
        var other = await service.AskAsync(MessagingUnderTest.Good with { Body = MessagingUnderTest.Body.Replace("Hello", "Bye", StringComparison.Ordinal) }, message).WithinLimitAsync();

        other.Is(out Response<InferenceFailed>? conflict).ShouldBeTrue();
        conflict!.Message.Code.ShouldBe("idempotency_key_reused");
        conflict.Message.Message.ShouldContain($"message {message:D}");
        var elsewhere = await service.AskAsync(new SubmitInference { Endpoint = "completions", Body = """{"model":"tiny","prompt":"Hello"}""" }, message).WithinLimitAsync();
        elsewhere.Is(out Response<InferenceFailed>? another).ShouldBeTrue("another endpoint is something else too");
        another!.Message.Code.ShouldBe("idempotency_key_reused");
        await UntilAskersAsync(service, held, 2);
        await held.SayAsync("Hi", finish: FinishReason.Stop);
        await held.FinishAsync();
        await service.EndAsync(held);
        foreach (var asking in new[] { first, second, service.AskAsync(MessagingUnderTest.Good, message) }) // the last asks after the end
        {
            (await asking.WithinLimitAsync()).Is(out Response<InferenceCompleted>? answer).ShouldBeTrue();
            answer!.Message.InferenceId.ShouldBe(held.Request.Id.Value);
        }

        service.Gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task An_idempotency_key_names_it_whatever_the_message_is_called()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        await service.SendAsync(MessagingUnderTest.Good with { IdempotencyKey = "order-7" });
        var held = await service.ServeAsync("Hi");

        (await service.AskAsync(MessagingUnderTest.Good with { IdempotencyKey = "order-7" }).WithinLimitAsync()).Is(out Response<InferenceCompleted>? answer).ShouldBeTrue();

        answer!.Message.InferenceId.ShouldBe(held.Request.Id.Value);
        service.Gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task A_full_queue_holds_messages_back_which_are_served_when_there_is_room()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var refused = new SemaphoreSlim(0);
        service.Gateway.Queue.Before = _ =>
        {
            if (service.Gateway.Queue.Refusal is not null) refused.Release();
            return Task.CompletedTask;
        };
        service.Gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));

        var asking = service.AskAsync(MessagingUnderTest.Good);
        for (var tries = 0; tries < 3; tries++) await refused.WaitAsync(Token).WithinLimitAsync(); // it came back twice
        service.Gateway.Queue.Refusal = null;
        await service.ServeAsync("Hi");

        (await asking.WithinLimitAsync()).Is(out Response<InferenceCompleted>? _).ShouldBeTrue();
    }

    [Fact]
    public async Task A_message_that_finds_no_room_for_too_long_is_told_and_put_away()
    {
        await using var service = await MessagingUnderTest.StartAsync(null, ("MassTransit:RetryFor", "00:00:01"), ("MassTransit:RetryPause", "00:00:00.5"));
        var errors = await service.ListenAsync<SubmitInference>("serverless-inference_error");
        service.Gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));

        var asking = service.AskAsync(MessagingUnderTest.Good);
        var message = await service.SendAsync(MessagingUnderTest.Good);

        (await asking.WithinLimitAsync()).Is(out Response<InferenceFailed>? failed).ShouldBeTrue();
        (failed!.Message.Code, failed.Message.Retryable, failed.Message.RetryAfter).ShouldBe(("queue_full", true, TimeSpan.FromSeconds(5)));
        (await MessagingUnderTest.NextAsync(errors)).MessageId.ShouldBe(message);
    }

    [Fact]
    public async Task What_cannot_be_kept_now_is_not_acknowledged_and_is_taken_later()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        service.Gateway.Backend.Documents.Away = true;
        var asking = service.AskAsync(MessagingUnderTest.Good);
        var refused = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        service.Bus.ConnectConsumeObserver(new ConsumeCounter(refused, 2));
        await refused.Task.WithinLimitAsync();
        service.Gateway.Backend.Documents.Away = false;

        await service.ServeAsync("Hi");

        (await asking.WithinLimitAsync()).Is(out Response<InferenceCompleted>? _).ShouldBeTrue();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_inference_is_cancelled_by_its_id_or_by_its_message(bool byId)
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var message = NewId.NextGuid();
        var asking = service.AskAsync(MessagingUnderTest.Good, message);
        var held = await service.Gateway.TakeAsync();
        await held.BeginAsync();

        var cancel = byId ? new CancelInference { InferenceId = held.Request.Id.Value, Reason = "changed" } : new CancelInference { SubmitMessageId = message };
        var told = await service.Client<CancelInference>().GetResponse<InferenceFailed>(cancel, Token).WithinLimitAsync();

        told.Message.Code.ShouldBe("request_cancelled");
        (await held.EndAsync()).ShouldBeOfType<RequestEvent.Cancelled>();
        await service.EndAsync(held, RequestOutcome.Cancelled);
        (await asking.WithinLimitAsync()).Is(out Response<InferenceFailed>? failed).ShouldBeTrue();
        (failed!.Message.Code, failed.Message.Retryable).ShouldBe(("request_cancelled", false));
    }

    [Fact]
    public async Task What_is_not_there_cannot_be_cancelled_and_what_has_ended_stays()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var message = await service.SendAsync(MessagingUnderTest.Good);
        await service.ServeAsync("Hi");
        var client = service.Client<CancelInference>();

        (await client.GetResponse<InferenceFailed>(new CancelInference { InferenceId = "chatcmpl-none" }, Token).WithinLimitAsync()).Message.Code.ShouldBe("request_not_found");
        (await client.GetResponse<InferenceFailed>(new CancelInference(), Token).WithinLimitAsync()).Message.Code.ShouldBe("invalid_request");
        (await client.GetResponse<InferenceCompleted>(new CancelInference { SubmitMessageId = message }, Token).WithinLimitAsync()).Message.FinishReasons.ShouldBe(["stop"]);
    }

    [Fact]
    public async Task A_later_releases_fields_are_passed_over_and_stay_when_it_comes_again()
    {
        await using var service = await MessagingUnderTest.StartAsync(null, ("MassTransit:RetryFor", "00:00:01"), ("MassTransit:RetryPause", "00:00:00.3"));
        var errors = await service.ListenAsync<SubmitInference>("serverless-inference_error");
        var body = JsonSerializer.Serialize(MessagingUnderTest.Body);
        string Envelope(Guid id) => """{"messageId":"ID","messageType":["urn:message:Serverless.Contracts:SubmitInference"],"message":{"body":BODY,"laterField":{"deep":[1,2]}}}""".Replace("ID", id.ToString(), StringComparison.Ordinal).Replace("BODY", body, StringComparison.Ordinal);

        await service.SendRawAsync(Envelope(NewId.NextGuid()));
        Encoding.UTF8.GetString((await service.Gateway.TakeAsync()).Request.Body.Span).ShouldBe(MessagingUnderTest.Body);

        service.Gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));
        await service.SendRawAsync(Envelope(NewId.NextGuid()));
        (await MessagingUnderTest.NextAsync(errors)).ReceiveContext.Body.GetString().ShouldContain("\"laterField\":{\"deep\":[1,2]}");
    }

    [Fact]
    public async Task An_earlier_releases_receiver_reads_what_it_knows_of_a_result()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var results = await service.ListenAsync<InferenceCompleted>("shop");

        await service.SendAsync(MessagingUnderTest.Good with { ResultAddress = new Uri("exchange:shop") });
        var held = await service.ServeAsync("Hi");

        var sent = JsonElement.Parse((await MessagingUnderTest.NextAsync(results)).ReceiveContext.Body.GetString()).GetProperty("message");
        sent.Deserialize<CompletedOfBefore>(JsonSerializerOptions.Web)!.InferenceId.ShouldBe(held.Request.Id.Value);
    }

    [Theory]
    [InlineData("queue:shop")]
    [InlineData("exchange:serverless-inference")]
    [InlineData("exchange:serverless-inference_error")]
    [InlineData("exchange:serverless-inference-streams_skipped")]
    [InlineData("exchange:Serverless.Contracts:SubmitInference")]
    [InlineData("exchange:serverless.durable.tiny")]
    [InlineData("http://127.0.0.1/hook")]
    public async Task Nothing_is_sent_to_the_gateways_own_queues_nor_off_the_bus(string address)
    {
        await using var service = await MessagingUnderTest.StartAsync();

        var response = await service.AskAsync(MessagingUnderTest.Good with { ResultAddress = new Uri(address) }).WithinLimitAsync();

        response.Is(out Response<InferenceFailed>? failed).ShouldBeTrue();
        (failed!.Message.Code, failed.Message.Param).ShouldBe(("invalid_request", "ResultAddress"));
        failed.Message.Message.ShouldContain(address);
    }

    [Theory]
    [InlineData("queue:shop")]
    [InlineData("exchange:serverless-inference")]
    [InlineData("http://127.0.0.1/hook")]
    public async Task What_cancels_is_answered_nowhere_else_either(string address)
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var errors = new TaskCompletionSource<ReceiveContext>(TaskCreationOptions.RunContinuationsAsynchronously);
        service.Bus.ConnectReceiveObserver(new ErrorObserver(errors));
        await service.SendAsync(MessagingUnderTest.Good);
        var held = await service.ServeAsync("Hi");

        await (await service.Bus.GetSendEndpoint(new Uri("queue:serverless-inference-cancel"))).Send(new CancelInference { InferenceId = held.Request.Id.Value }, context =>
        {
            context.RequestId = NewId.NextGuid();
            context.ResponseAddress = new Uri(address);
        }, Token);

        (await errors.Task.WithinLimitAsync()).InputAddress.AbsolutePath.ShouldEndWith("serverless-inference-cancel");
    }

    [Fact]
    public async Task A_result_longer_than_is_sent_comes_without_its_body()
    {
        await using var service = await MessagingUnderTest.StartAsync(null, ("MassTransit:MaxResultBytes", "1024"));

        var asking = service.AskAsync(MessagingUnderTest.Good);
        await service.ServeAsync(new string('x', 2000));

        (await asking.WithinLimitAsync()).Is(out Response<InferenceCompleted>? answer).ShouldBeTrue();
        answer!.Message.Body.ShouldBeNull();
        answer.Message.Usage.CompletionTokens.ShouldBe(2);
    }

    [Fact]
    public async Task Off_there_is_no_bus()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(configure: services => services.AddMessages(new ConfigurationBuilder().Build(), MassTransitOptions.RabbitMq));

        gateway.Services.GetService<IBus>().ShouldBeNull();
    }

    [Theory]
    [InlineData("MassTransit:Prefetch", "9", "MassTransit:Prefetch is 9; so many bodies of 16777216 bytes (Gateway:Admission:MaxBodyBytes) must fit a quarter of Gateway:Admission:MaxTotalBytes, 536870912: at most 8.")]
    [InlineData("MassTransit:Concurrency", "9", "MassTransit:Concurrency is 9; it must be at most MassTransit:Prefetch, 8")]
    [InlineData("MassTransit:Transport", "kafka", "MassTransit:Transport is 'kafka'; it takes 'rabbitmq' or 'in-memory'.")]
    [InlineData("MassTransit:HighestLane", "vip", "MassTransit:HighestLane is 'vip'; it takes realtime, interactive or batch.")]
    [InlineData("MassTransit:Queue", "a b", "MassTransit:Queue takes 1 to 64 letters, digits, dots, dashes and underscores.")]
    [InlineData("MassTransit:Url", "http://127.0.0.1", "MassTransit:Url is no address of a broker; it takes amqp://USER:PASSWORD@HOST:PORT/VHOST")]
    public async Task Faulty_options_stop_the_start_with_key_value_limit_and_remedy(string key, string value, string sentence)
    {
        var fault = await Should.ThrowAsync<OptionsValidationException>(() => MessagingUnderTest.StartAsync(null, (key, value)));

        fault.Failures.ShouldContain(failure => failure.Contains(sentence, StringComparison.Ordinal), string.Join('\n', fault.Failures));
    }

    /// <summary>Waits until so many are to be told of its end.</summary>
    private static async Task UntilAskersAsync(MessagingUnderTest service, HeldRequest held, int askers)
    {
        var records = service.Gateway.Services.GetRequiredService<global::Serverless.Gateway.Requests.RequestRecords>();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        while ((await records.FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value.Record.Origin!.Message!.Replies.Count < askers) await pace.WaitForNextTickAsync(Token);
    }

    private sealed class ErrorObserver(TaskCompletionSource<ReceiveContext> errors) : IReceiveObserver
    {
        public Task PreReceive(ReceiveContext context) => Task.CompletedTask;

        public Task PostReceive(ReceiveContext context)
        {
            if (context.IsFaulted) errors.TrySetResult(context);
            return Task.CompletedTask;
        }

        public Task PostConsume<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType)
            where T : class => Task.CompletedTask;

        public Task ConsumeFault<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType, Exception exception)
            where T : class => Task.CompletedTask;

        public Task ReceiveFault(ReceiveContext context, Exception exception)
        {
            errors.TrySetResult(context);
            return Task.CompletedTask;
        }
    }

    private sealed class ConsumeCounter(TaskCompletionSource reached, int count) : IConsumeObserver
    {
        private int _seen;

        public Task PreConsume<T>(ConsumeContext<T> context)
            where T : class => Task.CompletedTask;

        public Task PostConsume<T>(ConsumeContext<T> context)
            where T : class
        {
            if (context is ConsumeContext<SubmitInference> && Interlocked.Increment(ref _seen) >= count) reached.TrySetResult();
            return Task.CompletedTask;
        }

        public Task ConsumeFault<T>(ConsumeContext<T> context, Exception exception)
            where T : class => Task.CompletedTask;
    }

    /// <summary>What a service built against an earlier package reads.</summary>
    private sealed record CompletedOfBefore
    {
        public string InferenceId { get; init; } = "";
    }

    [Fact]
    public async Task What_an_event_asked_for_with_metadata_of_its_own_kind_can_be_cancelled_by_a_message()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var asked = new CloudEvent { Id = "e-1", Source = "/shop", Type = "shop.asked", Data = Encoding.UTF8.GetBytes($$"""{"endpoint":"/v1/chat/completions","body":{{MessagingUnderTest.Body}},"metadata":{"number":7,"text":"seven"} }""") };
        await service.Gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics.Contains(EventTopics.Requests)).HandleAsync(asked, Token);
        var held = await service.Gateway.TakeAsync();

        var told = await service.Client<CancelInference>().GetResponse<InferenceFailed>(new CancelInference { InferenceId = held.Request.Id.Value }, Token).WithinLimitAsync();

        told.Message.Code.ShouldBe("request_cancelled");
        told.Message.Metadata!.ShouldBe(new Dictionary<string, string> { ["number"] = "7", ["text"] = "seven" }, ignoreOrder: true);
    }

    [Fact]
    public async Task An_event_that_is_called_as_a_message_is_does_not_take_its_place()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var handler = service.Gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics.Contains(EventTopics.Requests));
        var asking = service.AskAsync(MessagingUnderTest.Good with { IdempotencyKey = "k" });
        var held = await service.Gateway.TakeAsync();

        var verdict = await handler.HandleAsync(new CloudEvent { Id = "key 'k'", Source = "masstransit", Type = "shop.asked", Data = """{"endpoint":"/v1/chat/completions","body":{"model":"tiny","messages":[]}}"""u8.ToArray() }, Token);

        verdict.Fault!.Error.ShouldBe(ServingError.IdempotencyConflict);
        await held.BeginAsync();
        await held.FinishAsync();
        await service.EndAsync(held);
        (await asking.WithinLimitAsync()).Is(out Response<InferenceCompleted>? _).ShouldBeTrue();
    }
}
