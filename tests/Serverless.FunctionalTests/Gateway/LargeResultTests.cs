using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Results that are larger than a store or a bus takes: said, once, and not tried for ever.</summary>
public sealed class LargeResultTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Whole = """{"model":"tiny","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly (string, string) ById = ("Prefer", "respond-async");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_result_that_the_store_does_not_take_ends_as_a_failure_that_says_its_size_the_limit_and_what_to_do()
    {
        var backend = new Backend(TimeProvider.System);
        backend.Documents.MaxDocumentBytes = 4000;
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        await using var results = backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);
        var held = await PromiseAsync(gateway, new string('a', 5000));

        (await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token).WithinLimitAsync()).ShouldBeTrue();

        var error = await ErrorAsync(gateway, held);
        error.GetProperty("code").GetString().ShouldBe("output_too_large");
        error.GetProperty("message").GetString()!.ShouldMatch("is 6[0-9]{3} bytes, and the document store takes 4000 at most.*Ask for fewer");
        (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        results.Current.Type.ShouldBe("dev.serverless.request.failed");
    }

    [Fact]
    public async Task A_store_that_takes_others_and_never_this_result_is_not_asked_for_ever()
    {
        var time = new TestClock();
        var backend = new Backend(time);
        backend.Documents.LargestTaken = 50_000;
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        var held = await PromiseAsync(gateway, new string('a', 100_000));

        await PassAsync(time, gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token));

        var error = await ErrorAsync(gateway, held);
        error.GetProperty("code").GetString().ShouldBe("output_too_large");
        error.GetProperty("message").GetString()!.ShouldContain("which takes others, refused it 8 times");
    }

    [Fact]
    public async Task A_store_that_is_away_for_long_and_back_has_lost_no_result()
    {
        var time = new TestClock();
        var backend = new Backend(time);
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        var held = await PromiseAsync(gateway, new string('a', 100_000));
        var tries = 0;
        backend.Documents.BeforeSave = _ => ++tries < 40 ? throw Backend.Away("document store") : Task.CompletedTask;

        var ended = time.GetUtcNow().ToUnixTimeSeconds();
        await PassAsync(time, gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token));

        var kept = await GetAsync(gateway, held);
        (kept.GetProperty("status").GetString(), kept.GetProperty("ended_at").GetInt64()).ShouldBe(("completed", ended));
    }

    [Theory]
    [InlineData(false, 52)]
    [InlineData(true, 100)]
    public async Task A_store_that_is_away_for_long_and_comes_back_busy_has_lost_no_result(bool isSilent, int busyUntil)
    {
        var time = new TestClock();
        var backend = new Backend(time);
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        var held = await PromiseAsync(gateway, new string('a', 100_000));
        var tries = 0;
        backend.Documents.IsBusy = isSilent;
        backend.Documents.BeforeSave = _ =>
        {
            if (++tries < 40) throw Backend.Away("document store");
            backend.Documents.LargestTaken = tries < busyUntil ? 50_000 : int.MaxValue;
            return Task.CompletedTask;
        };

        await PassAsync(time, gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token));

        (await GetAsync(gateway, held)).GetProperty("status").GetString().ShouldBe("completed");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_bus_that_does_not_say_why_takes_a_result_without_its_response_only_where_it_takes_others(bool takesOthers)
    {
        var time = new TestClock();
        var narrow = new NarrowBus { Refusal = ServingError.StoreUnavailable, Refusals = takesOthers ? int.MaxValue : 30 };
        await using var gateway = await GatewayUnderTest.StartAsync(
            configure: services => services.AddSingleton<IEventBus>(provider => narrow.Over(provider.GetRequiredService<MemoryEventBus>())), backend: new Backend(time));
        await using var results = gateway.Backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);
        var held = await PromiseAsync(gateway, new string('a', 100_000));
        var events = gateway.Services.GetRequiredService<ResultEvents>();
        if (takesOthers) narrow.AfterRefusal = () => _ = events.PublishAsync(Another(time), Token);

        await PassAsync(time, gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token));

        do (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        while (results.Current.Id != held.Request.Id.Value);
        JsonElement.Parse(results.Current.Data.Span).GetProperty("response").ValueKind.ShouldBe(takesOthers ? JsonValueKind.Null : JsonValueKind.Object);
    }

    private static RequestRecord Another(TestClock time) => new()
    {
        Id = "another", Endpoint = EndpointName.ChatCompletions, Model = "tiny", Owner = Owner.Local, CreatedAt = time.GetUtcNow(), Deadline = time.GetUtcNow(), Status = RequestStatus.Cancelled,
    };

    [Fact]
    public async Task A_result_that_the_bus_does_not_take_is_published_without_its_response_which_can_be_asked_for()
    {
        var narrow = new NarrowBus();
        await using var gateway = await GatewayUnderTest.StartAsync(configure: services => services.AddSingleton<IEventBus>(provider => narrow.Over(provider.GetRequiredService<MemoryEventBus>())));
        await using var results = gateway.Backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);
        var held = await PromiseAsync(gateway, new string('a', 5000));

        (await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token).WithinLimitAsync()).ShouldBeTrue();

        (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        results.Current.Type.ShouldBe("dev.serverless.request.completed");
        JsonElement.Parse(results.Current.Data.Span).GetProperty("response").ValueKind.ShouldBe(JsonValueKind.Null);
        (await GetAsync(gateway, held)).GetProperty("response").ValueKind.ShouldBe(JsonValueKind.Object);
    }

    [Fact]
    public async Task No_id_is_given_where_the_answer_may_become_larger_than_is_kept()
    {
        var backend = new Backend(TimeProvider.System);
        backend.Documents.MaxDocumentBytes = 4000;
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Promises:LongestSynchronous"] = "00:00:00.001" }, backend: backend);
        var large = Whole.Replace("100", "900", StringComparison.Ordinal);

        var refused = await gateway.PostAsync(Chat, large, ById);

        refused.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        var error = (await refused.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("error");
        error.GetProperty("param").GetString().ShouldBe("max_tokens");
        error.GetProperty("message").GetString()!.ShouldContain("may be a result of 7200 bytes; 4000 are kept under an id. Give a 'max_tokens' of at most 500");
        var unasked = gateway.PostAsync(Chat, large);
        await AnswerAsync(await gateway.TakeAsync(), "Good day");
        (await unasked).StatusCode.ShouldBe(HttpStatusCode.OK, "nobody asked for an id");
    }

    private static async Task<HeldRequest> PromiseAsync(GatewayUnderTest gateway, string answer)
    {
        (await gateway.PostAsync(Chat, Whole, ById)).StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var held = await gateway.TakeAsync();
        await AnswerAsync(held, answer);
        return held;
    }

    private static async Task AnswerAsync(HeldRequest held, string answer)
    {
        await held.BeginAsync();
        await held.SayAsync(answer, finish: FinishReason.Stop);
        await held.FinishAsync();
    }

    private static async Task PassAsync(TestClock time, Task<bool> kept)
    {
        await time.PassUntilAsync(kept);

        (await kept).ShouldBeTrue("its message is acknowledged");
    }

    private static async Task<JsonElement> ErrorAsync(GatewayUnderTest gateway, HeldRequest held)
    {
        var request = await GetAsync(gateway, held);
        request.GetProperty("status").GetString().ShouldBe("failed");
        return request.GetProperty("error");
    }

    private static async Task<JsonElement> GetAsync(GatewayUnderTest gateway, HeldRequest held) =>
        await (await gateway.AskAsync(HttpMethod.Get, $"/v1/requests/{held.Request.Id}")).Content.ReadFromJsonAsync<JsonElement>(Token);

    private sealed class NarrowBus : IEventBus
    {
        private MemoryEventBus? _bus;

        public ServingError Refusal { get; init; } = ServingError.OutputTooLarge;

        public int Refusals { get; set; } = int.MaxValue;

        public Action? AfterRefusal { get; set; }

        public NarrowBus Over(MemoryEventBus bus)
        {
            _bus = bus;
            return this;
        }

        public ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken)
        {
            if (cloudEvent.Data.Length <= 4000 || --Refusals < 0) return _bus!.PublishAsync(topic, cloudEvent, cancellationToken);

            AfterRefusal?.Invoke();
            throw new ServingException(new ServingFault(Refusal, "Not this one."));
        }
    }
}
