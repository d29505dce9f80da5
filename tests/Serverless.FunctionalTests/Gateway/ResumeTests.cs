using System.Net;
using System.Text.Json;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Streams that go on after their connection broke, on any gateway.</summary>
public sealed class ResumeTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Streamed = """{"model":"tiny","stream":true,"messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly Dictionary<string, string?> Fast = new() { ["Gateway:Streaming:FirstNotice"] = "00:00:00.010", ["Gateway:Streaming:NoticeInterval"] = "00:00:00.010" };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Chat, """{"model":"tiny","stream":true,"n":2,"logprobs":true,"top_logprobs":2,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}""")]
    [InlineData("/v1/completions", """{"model":"tiny","stream":true,"n":2,"echo":true,"prompt":"Hello"}""")]
    [InlineData("/v1/completions", """{"model":"tiny","stream":true,"n":2,"logprobs":2,"prompt":"Hello"}""")]
    public async Task Any_gateway_goes_on_after_any_part_with_the_very_next_one(string path, string body)
    {
        var backend = new Backend(TimeProvider.System);
        await using var first = await GatewayUnderTest.StartAsync(backend: backend);
        await using var second = await GatewayUnderTest.StartAsync(backend: backend);
        var response = first.PostAsync(path, body, ("Prefer", "resume=30"));
        var held = await backend.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good", logProbs: true);
        await held.SayAsync("Bon", choice: 1, logProbs: true);
        await held.SayAsync(" day", finish: FinishReason.Stop, logProbs: true);
        await held.SayAsync("jour", choice: 1, finish: FinishReason.Length, logProbs: true);
        await held.FinishAsync();
        (await response).Headers.GetValues("Preference-Applied").Single().ShouldBe("resume=30");
        var whole = await ReadAllAsync(await response);

        (await ReadAllAsync(await second.AskAsync(HttpMethod.Get, EventsOf(held)))).ShouldBe(whole);
        whole.Count.ShouldBeGreaterThan(6);
        whole[^1].Data.ShouldBe("[DONE]");
        for (var seen = 0; seen < whole.Count - 1; seen++)
        {
            var rest = whole.Skip(seen + 1).ToList();
            (await ReadAllAsync(await second.AskAsync(HttpMethod.Get, EventsOf(held), ("Last-Event-ID", whole[seen].Id!)))).ShouldBe(rest);
            (await ReadAllAsync(await first.AskAsync(HttpMethod.Get, $"{EventsOf(held)}?starting_after={whole[seen].Id}"))).ShouldBe(rest);
        }
    }

    [Fact]
    public async Task A_client_that_comes_back_to_another_gateway_takes_its_request_along()
    {
        var backend = new Backend(TimeProvider.System);
        await using var first = await GatewayUnderTest.StartAsync(Fast, backend: backend);
        await using var second = await GatewayUnderTest.StartAsync(Fast, backend: backend);
        using var gone = new CancellationTokenSource();
        var response = await first.PostAsync(Chat, Streamed, gone.Token, headers: ("Prefer", "resume=1"));
        var held = await backend.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        string? last = null;
        using (var events = new SseReader(await response.Content.ReadAsStreamAsync(Token)))
        {
            await events.ReadDataAsync();
            last = (await events.ReadDataAsync())!.Id;
        }

        await gone.CancelAsync();
        response.Dispose();
        using var back = new SseReader(await (await second.AskAsync(HttpMethod.Get, EventsOf(held), ("Last-Event-ID", last!))).Content.ReadAsStreamAsync(Token));
        await back.ReadAsync();

        var lapsed = await backend.Log.Lapsed.Task.WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
        lapsed.Ended.ShouldBeFalse();
        lapsed.Holder.ShouldNotBeNull();
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();
        (await back.ReadDataAsync())!.Json.GetProperty("choices")[0].GetProperty("delta").GetProperty("content").GetString().ShouldBe(" day");
    }

    [Fact]
    public async Task A_client_that_does_not_come_back_within_its_grace_ends_its_request()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Fast);
        var response = await gateway.PostAsync(Chat, Streamed, Token, headers: ("Prefer", "resume=1"));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        var end = held.EndAsync();

        response.Dispose();

        (await end.WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeOfType<RequestEvent.Cancelled>();
    }

    [Fact]
    public async Task Whoever_watches_a_stream_that_is_bound_to_its_connection_does_not_end_it_by_leaving()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Fast);
        using var response = await gateway.PostAsync(Chat, Streamed);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using (var watch = await gateway.AskAsync(HttpMethod.Get, EventsOf(held)))
        using (var watched = new SseReader(await watch.Content.ReadAsStreamAsync(Token)))
        {
            (await watched.ReadDataAsync()).ShouldNotBeNull();
        }

        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();

        (await ReadAllAsync(response))[^1].Data.ShouldBe("[DONE]");
    }

    [Fact]
    public async Task Whoever_only_watched_at_another_gateway_leaves_the_request_to_its_first_client()
    {
        var backend = new Backend(TimeProvider.System);
        await using var first = await GatewayUnderTest.StartAsync(Fast, backend: backend);
        await using var second = await GatewayUnderTest.StartAsync(Fast, backend: backend);
        using var response = await first.PostAsync(Chat, Streamed, ("Prefer", "resume=1"));
        var held = await backend.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using (var watch = await second.AskAsync(HttpMethod.Get, EventsOf(held)))
        using (var watched = new SseReader(await watch.Content.ReadAsStreamAsync(Token)))
        {
            (await watched.ReadDataAsync()).ShouldNotBeNull();
        }

        (await backend.Log.Lapsed.Task.WithinLimitAsync()).ShouldBe(new LapseResult(false, held.Request.Holder), "it was ended though its first client was there");
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();
        TextOf(await ReadAllAsync(response)).ShouldBe("Good day");
    }

    [Fact]
    public async Task A_request_of_an_endpoint_to_come_is_said_to_be_one()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var shape = new AnswerShape { Id = new("resp_1"), Endpoint = new("responses"), Model = "tiny", Created = 1, ServiceTier = "default", SystemFingerprint = "fp", Choices = 1 };
        var head = new LogHead(new("tiny"), Promise.Connection, "another", TimeProvider.System.GetUtcNow().AddMinutes(1)) { Resumable = true, Shape = ShapeCodec.Encode(shape) };
        await gateway.Log.OpenAsync(shape.Id, head, Token);

        var shown = await gateway.AskAsync(HttpMethod.Get, "/v1/requests/resp_1");
        (await shown.Content.ReadAsStringAsync(Token)).ShouldContain("\"endpoint\":\"/v1/responses\"");
        var followed = await gateway.AskAsync(HttpMethod.Get, "/v1/requests/resp_1/events");
        followed.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await followed.Content.ReadAsStringAsync(Token)).ShouldContain("roll-out");
    }

    [Fact]
    public async Task A_store_that_gives_again_what_was_read_repeats_nothing()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Chat, Streamed);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        await held.SayAsync(" day");
        await held.AppendAsync(new RequestEvent.Chunk([new ChoiceChunk(0, 0, [100], "Good")]));
        await held.AppendAsync(new RequestEvent.Chunk([new ChoiceChunk(0, 1, [101], " day")]));
        await held.SayAsync("!", finish: FinishReason.Stop);
        await held.FinishAsync();

        TextOf(await ReadAllAsync(await response)).ShouldBe("Good day!");
    }

    [Fact]
    public async Task What_a_client_has_counts_by_tokens_where_a_store_that_lost_data_numbers_otherwise()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var response = await gateway.PostAsync(Chat, Streamed, ("Prefer", "resume=30"));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        await held.SayAsync(" day");
        await held.SayAsync("!", finish: FinishReason.Stop);
        await held.FinishAsync();

        // These tokens were events 3 and 4 when the client had them, and 2 and 3 when another did.
        foreach (var id in new[] { "4.0.2", "3.1.2", "9.0.2" })
        {
            TextOf(await ReadAllAsync(await gateway.AskAsync(HttpMethod.Get, EventsOf(held), ("Last-Event-ID", id)))).ShouldBe("!");
        }

        TextOf(await ReadAllAsync(await gateway.AskAsync(HttpMethod.Get, EventsOf(held), ("Last-Event-ID", "4")))).ShouldBe("!");
    }

    [Theory]
    [InlineData("seven")]
    [InlineData("7.x")]
    [InlineData("-1")]
    [InlineData("7.1.2.3")]
    [InlineData("7.99999999999")]
    public async Task An_id_that_no_stream_sent_is_refused(string id)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var response = await gateway.PostAsync(Chat, Streamed);
        var held = await gateway.TakeAsync();

        var answer = await gateway.AskAsync(HttpMethod.Get, EventsOf(held), ("Last-Event-ID", id));

        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await answer.Content.ReadAsStringAsync(Token)).ShouldContain("Last-Event-ID");
    }

    internal static string EventsOf(HeldRequest held) => $"/v1/requests/{held.Request.Id}/events";

    internal static async Task<List<(string? Id, string Data)>> ReadAllAsync(HttpResponseMessage response)
    {
        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        using var events = new SseReader(await response.Content.ReadAsStreamAsync(Token));
        var all = new List<(string?, string)>();
        while (await events.ReadDataAsync() is { } next) all.Add((next.Id, next.Data!));
        return all;
    }

    internal static string TextOf(IEnumerable<(string? Id, string Data)> events) => string.Concat(events
        .Where(part => part.Data != "[DONE]")
        .Select(part => JsonElement.Parse(part.Data).GetProperty("choices"))
        .Where(choices => choices.GetArrayLength() > 0)
        .Select(choices => choices[0].GetProperty("delta").TryGetProperty("content", out var text) ? text.GetString() : ""));
}
