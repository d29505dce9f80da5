using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Serverless.Errors;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>The same key and body is the same request.</summary>
public sealed class IdempotencyTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Whole = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";
    private const string Streamed = """{"model":"tiny","stream":true,"messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly (string, string) Key = ("Idempotency-Key", "order 66");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Whole)]
    [InlineData(Streamed)]
    public async Task What_comes_again_gets_the_same_answer_and_runs_nothing(string body)
    {
        var backend = new Backend(TimeProvider.System);
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        await using var other = await GatewayUnderTest.StartAsync(backend: backend);
        var first = gateway.PostAsync(Chat, body, Key);
        await AnswerAsync(await backend.TakeAsync());
        var text = await AnswerOfAsync(await first);

        foreach (var again in new[] { gateway, other })
        {
            var answer = await again.PostAsync(Chat, body, Key);
            answer.StatusCode.ShouldBe(HttpStatusCode.OK);
            (await AnswerOfAsync(answer)).ShouldBe(text);
            answer.Headers.GetValues("x-request-id").ShouldBe((await first).Headers.GetValues("x-request-id"));
        }

        backend.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData(Whole)]
    [InlineData(Streamed)]
    public async Task Twins_that_come_at_the_same_time_are_one_request(string body)
    {
        var backend = new Backend(TimeProvider.System);
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        await using var other = await GatewayUnderTest.StartAsync(backend: backend);
        for (var round = 0; round < 10; round++)
        {
            var key = ("Idempotency-Key", $"round {round}");
            var twins = Enumerable.Range(0, 6).Select(i => (i % 2 == 0 ? gateway : other).PostAsync(Chat, body, key)).ToArray();
            await AnswerAsync(await backend.TakeAsync());

            var texts = new HashSet<string>();
            foreach (var twin in twins) texts.Add(await AnswerOfAsync(await twin));
            texts.Count.ShouldBe(1);
        }

        backend.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_log_of_a_key_stays_for_its_twins_though_the_first_has_read_its_end_and_may_not_come_back(bool elsewhere)
    {
        var backend = new Backend(TimeProvider.System);
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        await using var other = await GatewayUnderTest.StartAsync(backend: backend);
        var first = gateway.PostAsync(Chat, Streamed, Key, ("Prefer", "resume=0"));
        var held = await backend.TakeAsync();
        var twin = (elsewhere ? other : gateway).PostAsync(Chat, Streamed, Key, ("Prefer", "resume=0"));
        await AnswerAsync(held);
        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(await first)).ShouldBe("Good day");

        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(await twin)).ShouldBe("Good day");
        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(await other.PostAsync(Chat, Streamed, Key))).ShouldBe("Good day");
        (await backend.Log.ReadHeadAsync(held.Request.Id, Token)).ShouldNotBeNull();
        backend.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_answer_is_remembered_under_its_key_though_its_client_did_not_stay_for_it(bool succeeds)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var gone = new CancellationTokenSource();
        var broken = gateway.PostAsync(Chat, Whole, gone.Token, headers: Key);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => broken);
        if (succeeds) await held.FinishAsync();
        else await held.FailAsync(ServingError.OutputTooLarge, "Too much.");

        // As its dispatcher does, wherever that is.
        var end = new RequestEnd(held.Request, succeeds ? RequestOutcome.Finished : RequestOutcome.Failed, new TokenUsage(5, 2));
        foreach (var observer in gateway.Services.GetServices<IEndObserver>()) (await observer.EndedAsync(end, Token)).ShouldBeTrue();

        var kept = (await gateway.Services.GetRequiredService<RequestRecords>().FindAsync(held.Request.Owner, held.Request.Id, Token))!.Value.Record;
        kept.Status.ShouldBe(succeeds ? RequestStatus.Completed : RequestStatus.Failed);
        (kept.Response?.GetRawText().Contains("Good day", StringComparison.Ordinal) == true).ShouldBe(succeeds);
        (await gateway.PostAsync(Chat, Whole, Key)).StatusCode.ShouldBe(succeeds ? HttpStatusCode.OK : HttpStatusCode.BadRequest);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData(null, RequestOutcome.Finished)]
    [InlineData("once", RequestOutcome.Cancelled)]
    public async Task What_has_no_key_or_came_to_nothing_is_not_remembered(string? key, RequestOutcome outcome)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var answer = gateway.PostAsync(Chat, Whole, key is null ? [] : [("Idempotency-Key", key)]);
        var held = await gateway.TakeAsync();
        if (outcome == RequestOutcome.Finished) await AnswerAsync(held);
        else await gateway.Log.EndAsync(held.Request.Id, new RequestEvent.Cancelled("gone"), Token);
        (await answer).Dispose();

        foreach (var observer in gateway.Services.GetServices<IEndObserver>()) await observer.EndedAsync(new RequestEnd(held.Request, outcome, new TokenUsage(5, 2)), Token);

        (await gateway.Services.GetRequiredService<RequestRecords>().FindAsync(held.Request.Owner, held.Request.Id, Token)).ShouldBeNull();
    }

    [Fact]
    public async Task A_twin_at_another_gateway_that_leaves_lets_the_request_go_on()
    {
        var backend = new Backend(TimeProvider.System);
        var fast = new Dictionary<string, string?> { ["Gateway:Streaming:FirstNotice"] = "00:00:00.010", ["Gateway:Streaming:NoticeInterval"] = "00:00:00.010" };
        await using var gateway = await GatewayUnderTest.StartAsync(fast, backend: backend);
        await using var other = await GatewayUnderTest.StartAsync(fast, backend: backend);
        var first = gateway.PostAsync(Chat, Streamed, Key);
        var held = await backend.TakeAsync();
        await held.BeginAsync();
        using var gone = new CancellationTokenSource();
        var twin = await other.PostAsync(Chat, Streamed, gone.Token, headers: [Key, ("Prefer", "resume=0")]); // it does not come back

        await gone.CancelAsync();
        twin.Dispose();
        (await backend.Log.Lapsed.Task.WithinLimitAsync()).ShouldBe(new LapseResult(false, held.Request.Holder));
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();

        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(await first)).ShouldBe("Good day");
    }

    [Fact]
    public async Task Another_body_under_the_same_key_is_refused()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var first = gateway.PostAsync(Chat, Whole, Key);
        var held = await gateway.TakeAsync();

        var answer = await gateway.PostAsync(Chat, Whole.Replace("Hello", "Other", StringComparison.Ordinal), Key);

        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await answer.Content.ReadAsStringAsync(Token)).ShouldContain("idempotency_key_reused");
        await AnswerAsync(held);
        (await first).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await gateway.PostAsync(Chat, Whole, ("Idempotency-Key", ""))).StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await gateway.PostAsync(Chat, Whole, ("Idempotency-Key", new string('k', 256)))).StatusCode.ShouldBe(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task A_refused_request_leaves_its_key_free()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));
        (await gateway.PostAsync(Chat, Whole, Key)).StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        gateway.Queue.Refusal = null;

        var again = gateway.PostAsync(Chat, Whole, Key);
        await AnswerAsync(await gateway.TakeAsync());

        (await again).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task What_failed_in_a_way_that_passes_runs_again_and_what_cannot_succeed_does_not()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var first = gateway.PostAsync(Chat, Whole, Key);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FailAsync(ServingError.EngineFailed, "The engine fell over.");
        (await first).StatusCode.ShouldBe(HttpStatusCode.BadGateway);

        var second = gateway.PostAsync(Chat, Whole, Key);
        var again = await gateway.TakeAsync();
        again.Request.Id.ShouldNotBe(held.Request.Id);
        await again.BeginAsync();
        await again.FailAsync(ServingError.ContextTooLong, "Too long.");
        (await second).StatusCode.ShouldBe(HttpStatusCode.BadRequest);

        (await gateway.PostAsync(Chat, Whole, Key)).StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task A_client_whose_connection_broke_finds_its_request_running()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var gone = new CancellationTokenSource();
        var broken = gateway.PostAsync(Chat, Whole, gone.Token, headers: Key);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => broken);

        var again = gateway.PostAsync(Chat, Whole, Key);
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();

        (await (await again).Content.ReadAsStringAsync(Token)).ShouldContain("Good day");
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task A_promise_asked_for_again_is_the_same_promise()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var first = await gateway.PostAsync(Chat, Whole, Key, ("Prefer", "respond-async"));
        var held = await gateway.TakeAsync();

        var again = await gateway.PostAsync(Chat, Whole, Key, ("Prefer", "respond-async"));
        first.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        again.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        again.Headers.Location.ShouldBe(first.Headers.Location);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();

        await AnswerAsync(held);
        var answered = await gateway.PostAsync(Chat, Whole, Key);
        answered.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await answered.Content.ReadAsStringAsync(Token)).ShouldContain("Good day");
    }

    [Fact]
    public async Task Keys_are_in_no_list_that_each_request_would_have_to_write()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await gateway.PostAsync(Chat, Whole, Key, ("Prefer", "respond-async"));
        var scope = (await gateway.TakeAsync()).Request.Owner.Scope;

        (await gateway.Backend.Documents.ListAsync("requests", scope, null, 10, Token)).Count.ShouldBe(1, "the promise is listed");
        (await gateway.Backend.Documents.ListAsync("idempotency", scope, null, 10, Token)).ShouldBeEmpty();
    }

    /// <summary>Without the comments of a stream that waits: on a busy machine one twin waits longer than another.</summary>
    private static async Task<string> AnswerOfAsync(HttpResponseMessage response) =>
        string.Join('\n', (await response.Content.ReadAsStringAsync(Token)).Split('\n').Where(line => !line.StartsWith(':')));

    private static async Task AnswerAsync(HeldRequest held)
    {
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
    }

    [Fact]
    public async Task A_store_that_fails_to_remember_an_answer_does_not_make_a_failure_of_it()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var closed = new MetricCollector<double>(gateway.Services.GetRequiredService<IMeterFactory>(), "Serverless.Gateway", "gen_ai.server.request.duration");
        gateway.Backend.Documents.BeforeSave = key => key.Collection == "requests" ? throw new InvalidOperationException("A bug of the store.") : Task.CompletedTask;
        var answer = gateway.PostAsync("/v1/chat/completions", """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""", ("Idempotency-Key", "once"));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();

        (await (await answer).Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).ShouldContain("Good day");
        await closed.WaitForMeasurementsAsync(1, TestTimeouts.Default);
        closed.LastMeasurement!.Tags.ContainsKey("error.type").ShouldBeFalse("it was answered");
        foreach (var observer in gateway.Services.GetServices<IEndObserver>()) (await observer.EndedAsync(new RequestEnd(held.Request, RequestOutcome.Finished, new TokenUsage(5, 2)), Token)).ShouldBeTrue("its message is acknowledged");
    }
}
