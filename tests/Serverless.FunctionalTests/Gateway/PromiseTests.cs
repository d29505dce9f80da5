using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using CsCheck;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Answers by an id: asked for, or because they take too long.</summary>
public sealed class PromiseTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Whole = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";
    private const string Streamed = """{"model":"tiny","stream":true,"messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly Dictionary<string, string?> Fast = new() { ["Gateway:Streaming:FirstNotice"] = "00:00:00.010", ["Gateway:Streaming:NoticeInterval"] = "00:00:00.010" };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Whole)]
    [InlineData(Streamed)]
    public async Task Whoever_prefers_an_id_gets_one_at_once_and_the_answer_under_it_on_any_gateway(string body)
    {
        var backend = new Backend(TimeProvider.System);
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        await using var other = await GatewayUnderTest.StartAsync(backend: backend);
        await using var results = backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);

        var promised = await gateway.PostAsync(Chat, body, ("Prefer", "respond-async"));

        promised.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        promised.Headers.GetValues("Preference-Applied").Single().ShouldBe("respond-async");
        var held = await backend.TakeAsync();
        held.Request.Promise.ShouldBe(Promise.Id);
        promised.Headers.Location!.ToString().ShouldBe("/v1/requests/" + held.Request.Id);
        var given = await promised.Content.ReadFromJsonAsync<JsonElement>(Token);
        given.GetProperty("id").GetString().ShouldBe(held.Request.Id.Value);
        given.GetProperty("object").GetString().ShouldBe("request");
        (await StatusAsync(other, held)).ShouldBe("queued");

        await held.BeginAsync();
        (await StatusAsync(other, held)).ShouldBe("in_progress");
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
        (await StatusAsync(other, held)).ShouldBe("completed"); // the log knows before the record does
        await KeepAsync(gateway, held);
        await KeepAsync(other, held); // a redelivery completes nothing twice

        var request = await GetAsync(other, held);
        request.GetProperty("status").GetString().ShouldBe("completed");
        request.GetProperty("error").ValueKind.ShouldBe(JsonValueKind.Null);
        request.GetProperty("response").GetProperty("id").GetString().ShouldBe(held.Request.Id.Value);
        request.GetProperty("response").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString().ShouldBe("Good day");
        ResumeTests.TextOf(await ResumeTests.ReadAllAsync(await other.AskAsync(HttpMethod.Get, ResumeTests.EventsOf(held)))).ShouldBe("Good day");

        (await results.MoveNextAsync()).ShouldBeTrue();
        results.Current.Id.ShouldBe(held.Request.Id.Value);
        results.Current.Type.ShouldBe("dev.serverless.request.completed");
        EventTests.WithoutProof(results.Current).ShouldBe(request.GetRawText());
    }

    [Fact]
    public async Task An_answer_that_takes_longer_than_its_client_waits_comes_by_an_id_and_runs_once()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Fast);
        var response = gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async, wait=1"));
        var held = await gateway.TakeAsync();
        held.Request.Promise.ShouldBe(Promise.Connection);
        await held.BeginAsync();
        await held.SayAsync("Good");

        var promised = await response;

        promised.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        promised.Headers.GetValues("Preference-Applied").Single().ShouldBe("respond-async, wait=1");
        var durable = await gateway.TakeAsync();
        durable.Request.Id.ShouldBe(held.Request.Id);
        durable.Request.Promise.ShouldBe(Promise.Id);
        (await gateway.Log.LapseAsync(held.Request.Id, held.Request.Holder, new RequestEvent.Cancelled("gone"), Token)).Ended.ShouldBeFalse();
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();
        (await GetAsync(gateway, held)).GetProperty("response").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString().ShouldBe("Good day");
    }

    [Fact]
    public async Task A_limit_of_the_server_promotes_whole_answers_of_clients_that_asked_for_nothing()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Promises:LongestSynchronous"] = "00:00:00.050" });
        var whole = gateway.PostAsync(Chat, Whole);
        await gateway.TakeAsync();

        (await whole).StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await whole).Headers.Contains("Preference-Applied").ShouldBeFalse();
        (await gateway.TakeAsync()).Request.Promise.ShouldBe(Promise.Id);
        (await gateway.PostAsync(Chat, Streamed)).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_stream_that_has_begun_stays_a_stream()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Fast);
        var response = gateway.PostAsync(Chat, Streamed, ("Prefer", "respond-async, wait=1"));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        SseReader.SseEvent? next;
        do next = await events.ReadAsync();
        while (next?.Comment is null); // the clock has gone on

        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();

        string? last = null;
        while (await events.ReadDataAsync() is { } part) last = part.Data;
        last.ShouldBe("[DONE]");
        (await response).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task What_cannot_be_kept_is_not_promised_and_does_not_run()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        gateway.Backend.Documents.Away = true;

        var refused = await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"));

        refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        refused.Headers.RetryAfter!.Delta!.Value.ShouldBeInRange(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60));
        refused.Headers.Location.ShouldBeNull();
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();

        gateway.Backend.Documents.Away = false;
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.StoreUnavailable, "The broker cannot be reached."));
        (await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"))).StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await (await gateway.AskAsync(HttpMethod.Get, "/v1/requests")).Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("data").GetArrayLength().ShouldBe(0);
    }

    [Fact]
    public async Task A_connection_whose_promotion_cannot_be_kept_goes_on_waiting()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Promises:LongestSynchronous"] = "00:00:00.020" });
        gateway.Backend.Documents.Away = true;
        var tried = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Backend.Documents.BeforeSave = _ =>
        {
            tried.TrySetResult();
            return Task.CompletedTask;
        };
        var response = gateway.PostAsync(Chat, Whole);
        var held = await gateway.TakeAsync();
        await tried.Task.WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
        await held.BeginAsync();
        await held.SayAsync("Good", finish: FinishReason.Stop);
        await held.FinishAsync();

        (await response).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_request_that_ends_in_the_midst_of_its_promotion_is_answered_once_and_runs_once()
    {
        // Where it ends: before each of the promotion's three steps, or after them.
        for (var step = 0; step < 4; step++)
        {
            await using var gateway = await GatewayUnderTest.StartAsync(new(Fast) { ["Gateway:Promises:LongestSynchronous"] = "00:00:00.020" });
            var at = step;
            HeldRequest? held = null;
            var taken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            async Task EndIfAsync(int now)
            {
                if (now != at) return;
                await taken.Task;
                await held!.FinishAsync();
            }

            gateway.Backend.Documents.BeforeSave = key => key.Collection == "requests" ? EndIfAsync(0) : Task.CompletedTask;
            gateway.Queue.Before = request => request.Promise == Promise.Id ? EndIfAsync(1) : Task.CompletedTask;
            gateway.Backend.Log.BeforeHold = _ => EndIfAsync(2);
            var response = gateway.PostAsync(Chat, Whole);
            held = await gateway.TakeAsync();
            await held.BeginAsync();
            await held.SayAsync("Good day", finish: FinishReason.Stop);
            taken.SetResult();

            var answer = await response;
            if (at == 3) await held.FinishAsync();
            answer.StatusCode.ShouldBe(at == 3 ? HttpStatusCode.Accepted : HttpStatusCode.OK);
            var durable = await gateway.TakeAsync();
            durable.Request.Id.ShouldBe(held.Request.Id);
            (await gateway.Log.BeginAsync(held.Request.Id, 1, Guid.NewGuid(), Token)).Status.ShouldBe(BeginStatus.Ended, "the durable message runs nothing");
            await KeepAsync(gateway, durable);

            var request = await GetAsync(gateway, held);
            request.GetProperty("status").GetString().ShouldBe("completed");
            var given = at == 3 ? request.GetProperty("response") : await answer.Content.ReadFromJsonAsync<JsonElement>(Token);
            given.GetRawText().ShouldBe(request.GetProperty("response").GetRawText());
        }
    }

    [Fact]
    public async Task However_end_and_promotion_race_there_is_one_answer_and_one_run()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new()
        {
            ["Gateway:Streaming:FirstNotice"] = "00:00:00.001",
            ["Gateway:Streaming:NoticeInterval"] = "00:00:00.001",
            ["Gateway:Promises:LongestSynchronous"] = "00:00:00.001",
        });
        var promoted = 0;
        await Gen.Select(Gen.Int[0, 2], Gen.Int[0, 200], Gen.Int[0, 200]).SampleAsync(
            async (step, endAfter, promoteAfter) =>
            {
                HeldRequest? held = null;
                var (ready, ending) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource<AppendStatus>(TaskCreationOptions.RunContinuationsAsynchronously));

                // At one of the promotion's steps the end sets out too, and the two race.
                async Task RaceAsync(int now)
                {
                    await ready.Task;
                    if (now != step) return;
                    _ = Task.Run(
                        async () =>
                        {
                            await YieldAsync(endAfter);
                            ending.TrySetResult(await held!.FinishAsync());
                        },
                        Token);
                    await YieldAsync(promoteAfter);
                }

                gateway.Backend.Documents.BeforeSave = key => RaceAsync(0);
                gateway.Queue.Before = request => request.Promise == Promise.Id ? RaceAsync(1) : Task.CompletedTask;
                gateway.Backend.Log.BeforeHold = _ => RaceAsync(2);
                var response = gateway.PostAsync(Chat, Whole);
                held = await gateway.TakeAsync();
                await held.BeginAsync();
                await held.SayAsync("Good day", finish: FinishReason.Stop);
                ready.SetResult();

                var answer = await response;
                (await ending.Task.WithinLimitAsync()).ShouldBe(AppendStatus.Accepted);
                gateway.Backend.Documents.BeforeSave = _ => Task.CompletedTask;
                var json = await answer.Content.ReadFromJsonAsync<JsonElement>(Token);
                while (gateway.Queue.Requests.TryRead(out var durable))
                {
                    durable.Id.ShouldBe(held.Request.Id);
                    await gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(durable, Token);
                }

                if (answer.StatusCode == HttpStatusCode.Accepted) promoted++;
                else answer.StatusCode.ShouldBe(HttpStatusCode.OK);
                var given = answer.StatusCode == HttpStatusCode.Accepted ? (await GetAsync(gateway, held)).GetProperty("response") : json;
                given.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString().ShouldBe("Good day");
            },
            iter: 60,
            threads: 1);
        TestContext.Current.TestOutputHelper!.WriteLine($"{promoted} of 60 were promoted.");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_promised_request_is_cancelled_by_its_id(bool running)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"));
        var held = await gateway.TakeAsync();
        if (running) await held.BeginAsync();

        var cancelled = await gateway.AskAsync(HttpMethod.Delete, "/v1/requests/" + held.Request.Id);

        (await cancelled.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("status").GetString().ShouldBe("cancelled");
        (await held.EndAsync()).ShouldBeOfType<RequestEvent.Cancelled>();
        await KeepAsync(gateway, held);
        (await StatusAsync(gateway, held)).ShouldBe("cancelled");
        (await gateway.AskAsync(HttpMethod.Delete, "/v1/requests/" + held.Request.Id)).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_promised_request_that_fails_keeps_its_error()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FailAsync(ServingError.EngineFailed, "The engine fell over.");
        await KeepAsync(gateway, held);

        var request = await GetAsync(gateway, held);

        request.GetProperty("status").GetString().ShouldBe("failed");
        request.GetProperty("error").GetRawText().ShouldBe("""{"message":"The engine fell over.","type":"server_error","param":null,"code":"engine_failed"}""");
    }

    [Fact]
    public async Task Keeping_a_promise_waits_for_the_stores()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good", finish: FinishReason.Stop);
        await held.FinishAsync();
        gateway.Backend.Documents.Away = true;

        var kept = gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token);
        kept.IsCompleted.ShouldBeFalse();
        gateway.Backend.Documents.Away = false;

        await kept.WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
        (await StatusAsync(gateway, held)).ShouldBe("completed");
    }

    [Fact]
    public async Task A_promise_whose_end_was_lost_with_the_store_is_not_kept_but_runs_again()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"));
        var held = await gateway.TakeAsync();
        var keeper = gateway.Services.GetRequiredService<ResultKeeper>();
        await held.BeginAsync();

        (await keeper.KeepAsync(held.Request, Token)).ShouldBeFalse();
        (await StatusAsync(gateway, held)).ShouldBe("in_progress");
        await held.SayAsync("Good", finish: FinishReason.Stop);
        await held.FinishAsync();

        (await keeper.KeepAsync(held.Request, Token)).ShouldBeTrue();
        (await StatusAsync(gateway, held)).ShouldBe("completed");
    }

    [Fact]
    public async Task Promised_requests_are_listed_newest_first_page_by_page()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var ids = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"));
            ids.Insert(0, (await gateway.TakeAsync()).Request.Id.Value);
        }

        var page = await ListAsync(gateway, "?limit=2");
        page.Ids.ShouldBe(ids.Take(2));
        page.More.ShouldBeTrue();
        var rest = await ListAsync(gateway, $"?limit=2&after={ids[1]}");
        rest.Ids.ShouldBe(ids.Skip(2));
        rest.More.ShouldBeFalse();
        (await gateway.AskAsync(HttpMethod.Get, "/v1/requests?limit=0")).StatusCode.ShouldBe(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task A_list_reads_no_answer_of_what_has_ended()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        for (var i = 0; i < 3; i++)
        {
            await gateway.PostAsync(Chat, Whole, ("Prefer", "respond-async"));
            var held = await gateway.TakeAsync();
            await held.BeginAsync();
            await held.SayAsync("Good", finish: FinishReason.Stop);
            await held.FinishAsync();
            await KeepAsync(gateway, held);
        }

        gateway.Backend.Documents.Reads.Clear();
        (await ListAsync(gateway, "?limit=3")).Ids.Length.ShouldBe(3);

        gateway.Backend.Documents.Reads.Where(read => read.StartsWith("requests/", StringComparison.Ordinal)).ShouldBeEmpty();
        gateway.Backend.Documents.Reads.Count.ShouldBe(1 + 3, "the list, and a summary each");
    }

    private static async Task YieldAsync(int times)
    {
        for (var i = 0; i < times; i++) await Task.Yield();
    }

    internal static async Task<JsonElement> GetAsync(GatewayUnderTest gateway, HeldRequest held)
    {
        var answer = await gateway.AskAsync(HttpMethod.Get, "/v1/requests/" + held.Request.Id);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        return await answer.Content.ReadFromJsonAsync<JsonElement>(Token);
    }

    private static async Task<string?> StatusAsync(GatewayUnderTest gateway, HeldRequest held) => (await GetAsync(gateway, held)).GetProperty("status").GetString();

    private static Task<bool> KeepAsync(GatewayUnderTest gateway, HeldRequest held) =>
        gateway.Services.GetRequiredService<ResultKeeper>().KeepAsync(held.Request, Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);

    private static async Task<(string?[] Ids, bool More)> ListAsync(GatewayUnderTest gateway, string query)
    {
        var list = await (await gateway.AskAsync(HttpMethod.Get, "/v1/requests" + query)).Content.ReadFromJsonAsync<JsonElement>(Token);
        return ([.. list.GetProperty("data").EnumerateArray().Select(request => request.GetProperty("id").GetString())], list.GetProperty("has_more").GetBoolean());
    }
}
