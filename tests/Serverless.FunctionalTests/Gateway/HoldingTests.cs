using System.Net;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A connection's request is kept and submitted again when the way down or the way up is lost; the client waits, and is told so.</summary>
public sealed class HoldingTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Whole = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";
    private const string Streamed = """{"model":"tiny","stream":true,"messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly EnqueueResult BrokerAway = new(new ServingFault(ServingError.StoreUnavailable, "The broker cannot be reached."));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Dictionary<string, string?> Fast => new()
    {
        ["Gateway:Streaming:FirstNotice"] = "00:00:00.010",
        ["Gateway:Streaming:NoticeInterval"] = "00:00:00.010",
        ["Gateway:Streaming:MaxSilence"] = "00:00:00.010",
    };

    [Theory]
    [InlineData(Whole)]
    [InlineData(Streamed)]
    public async Task A_new_request_is_refused_at_once_while_the_broker_is_away_and_nothing_runs(string body)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Fast);
        gateway.Queue.Refusal = BrokerAway;
        RequestId? id = null;
        gateway.Queue.Before = request =>
        {
            id = request.Id;
            return Task.CompletedTask;
        };

        var refused = await gateway.PostAsync(Chat, body);

        refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        refused.Headers.RetryAfter.ShouldNotBeNull();
        (await gateway.Log.ReadHeadAsync(id!.Value, Token))!.Ended.ShouldBeTrue("a message that did arrive is not run");
    }

    [Fact]
    public async Task A_request_that_the_queue_had_waits_for_a_broker_that_is_away_and_its_client_is_told()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Holding:AcceptTimeout"] = "00:00:00.020" });
        var response = await gateway.PostAsync(Chat, Streamed);
        await gateway.TakeAsync();
        gateway.Queue.Refusal = BrokerAway;
        while (gateway.Queue.Requests.TryRead(out _))
        {
        }

        using var events = new SseReader(await response.Content.ReadAsStreamAsync(Token));
        SseReader.SseEvent? next;
        do next = await events.ReadAsync();
        while (next?.Comment?.Contains("the queue cannot be reached", StringComparison.Ordinal) != true);
        gateway.Queue.Refusal = null;
        await AnswerAsync(await gateway.TakeAsync());

        while (await events.ReadDataAsync() is { } part && part.Data != "[DONE]")
        {
        }
    }

    [Fact]
    public async Task A_request_that_no_dispatcher_accepts_in_time_is_submitted_again_under_its_id()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Holding:AcceptTimeout"] = "00:00:00.020" });
        var response = gateway.PostAsync(Chat, Whole);
        var lost = await gateway.TakeAsync();

        var again = await gateway.TakeAsync();

        again.Request.Id.ShouldBe(lost.Request.Id);
        await AnswerAsync(again);
        (await response).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task An_accepted_request_of_which_nothing_is_heard_is_submitted_again_and_one_that_speaks_is_not()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Holding:Silence"] = "00:00:00.200" });
        var response = await gateway.PostAsync(Chat, Streamed);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();

        (await gateway.TakeAsync()).Request.Id.ShouldBe(held.Request.Id);
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(response)).ShouldBe("Good day");
    }

    [Fact]
    public async Task A_stream_pauses_while_the_log_is_away_says_so_and_misses_nothing()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Fast);
        var response = gateway.PostAsync(Chat, Streamed);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        await events.ReadDataAsync();
        await events.ReadDataAsync();

        gateway.Backend.Log.Away = true;
        SseReader.SseEvent? next;
        do next = await events.ReadAsync();
        while (next?.Comment?.StartsWith("paused", StringComparison.Ordinal) != true);
        next.Comment.ShouldBe("paused: The log cannot be reached.");
        await held.SayAsync(" day", finish: FinishReason.Stop); // the worker keeps it until the log is back
        gateway.Backend.Log.Away = false;
        await held.FinishAsync();

        (await events.ReadDataAsync())!.Json.GetProperty("choices")[0].GetProperty("delta").GetProperty("content").GetString().ShouldBe(" day");
        await events.ReadDataAsync();
        (await events.ReadDataAsync())!.Data.ShouldBe("[DONE]");
    }

    [Fact]
    public async Task A_whole_answer_comes_through_an_outage_of_the_log()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Fast);
        var response = gateway.PostAsync(Chat, Whole);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        gateway.Backend.Log.Away = true;
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();
        gateway.Backend.Log.Away = false;

        (await (await response).Content.ReadAsStringAsync(Token)).ShouldContain("Good day");
    }

    [Fact]
    public async Task A_log_that_stays_away_refuses_what_is_new_and_runs_nothing()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Holding:OpenPatience"] = "00:00:00.300" });
        gateway.Backend.Log.Away = true;

        var refused = await gateway.PostAsync(Chat, Whole);

        refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        refused.Headers.RetryAfter!.Delta!.Value.ShouldBeInRange(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60));
        (await refused.Content.ReadAsStringAsync(Token)).ShouldContain("store_unavailable");
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Fact]
    public async Task A_log_that_is_away_for_a_moment_is_waited_for()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Holding:OpenPatience"] = "00:01:00" });
        gateway.Backend.Log.Away = true;
        var response = gateway.PostAsync(Chat, Whole);
        gateway.Backend.Log.Away = false;

        await AnswerAsync(await gateway.TakeAsync());

        (await response).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_stopping_gateway_leaves_a_resumable_request_to_the_next_one()
    {
        var backend = new Backend(TimeProvider.System);
        await using var first = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Streaming:DrainTimeout"] = "00:00:00" }, backend: backend);
        await using var second = await GatewayUnderTest.StartAsync(Fast, backend: backend);
        var response = first.PostAsync(Chat, Streamed, ("Prefer", "resume=30"));
        var held = await backend.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        await events.ReadDataAsync();
        var last = (await events.ReadDataAsync())!.Id!;

        first.BeginStop();
        (await events.ReadDataAsync())!.Data!.ShouldContain("shutting_down");
        await Should.ThrowAsync<IOException>(events.ReadAsync);

        var back = await second.AskAsync(HttpMethod.Get, ResumeTests.EventsOf(held), ("Last-Event-ID", last));
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();
        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(back)).ShouldBe(" day");
    }

    [Theory]
    [InlineData("resume=30")]
    [InlineData("resume=0")]
    public async Task A_stopping_gateway_leaves_a_twins_request_to_the_gateway_of_its_first_client(string resume)
    {
        var backend = new Backend(TimeProvider.System);
        await using var first = await GatewayUnderTest.StartAsync(Fast, backend: backend);
        await using var second = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Streaming:DrainTimeout"] = "00:00:00" }, backend: backend);
        (string, string)[] headers = [("Idempotency-Key", "once"), ("Prefer", resume)];
        var response = await first.PostAsync(Chat, Streamed, headers);
        var held = await backend.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var twin = new SseReader(await (await second.PostAsync(Chat, Streamed, headers)).Content.ReadAsStreamAsync(Token));
        await twin.ReadDataAsync();

        await second.StopAsync();

        var head = (await backend.Log.ReadHeadAsync(held.Request.Id, Token))!;
        head.Ended.ShouldBeFalse("its first client is there");
        head.Holder.ShouldBe(held.Request.Holder);
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();
        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(response)).ShouldBe("Good day");
    }

    private static async Task AnswerAsync(HeldRequest held)
    {
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
    }
}
