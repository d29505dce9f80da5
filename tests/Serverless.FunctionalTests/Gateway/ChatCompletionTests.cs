using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

public sealed class ChatCompletionTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Hello = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/chat/completions")]
    public async Task An_answer_in_one_piece_has_OpenAIs_shape(string path)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(path, Hello, Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good ");
        await held.SayAsync("\"day\"\n", finish: FinishReason.Stop);
        await held.FinishAsync();

        var answer = await response;
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        answer.Content.Headers.ContentType!.ToString().ShouldBe("application/json");
        answer.Content.Headers.ContentLength.ShouldNotBeNull();
        answer.Headers.GetValues("x-request-id").Single().ShouldBe(held.Request.Id.Value);

        var json = await answer.Content.ReadFromJsonAsync<JsonElement>(Token);
        json.GetProperty("created").GetInt64().ShouldBe(held.Request.AcceptedAt.ToUnixTimeSeconds());
        var text = json.GetRawText()
            .Replace(held.Request.Id.Value, "ID", StringComparison.Ordinal)
            .Replace($"\"created\":{json.GetProperty("created")}", "\"created\":0", StringComparison.Ordinal)
            .Replace(json.GetProperty("system_fingerprint").GetString()!, "fp", StringComparison.Ordinal);
        text.ShouldBe(
            """{"id":"ID","object":"chat.completion","created":0,"model":"tiny","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"message":{"role":"assistant","content":"Good \"day\"\n","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}""");
    }

    [Fact]
    public async Task A_stream_is_role_text_finish_usage_and_done()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Chat, """{"model":"tiny","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}""", Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));

        var role = (await events.ReadDataAsync())!;
        role.Id.ShouldBe("3.0.0");
        role.Json.GetProperty("object").GetString().ShouldBe("chat.completion.chunk");
        role.Json.GetProperty("usage").ValueKind.ShouldBe(JsonValueKind.Null);
        Choice(role).ShouldBe("""{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}""");

        var first = (await events.ReadDataAsync())!;
        first.Id.ShouldBe("3.1.1");
        Choice(first).ShouldBe("""{"index":0,"delta":{"content":"Good"},"logprobs":null,"finish_reason":null}""");

        await held.SayAsync(" day", finish: FinishReason.Length);
        await held.FinishAsync();
        Choice((await events.ReadDataAsync())!).ShouldBe("""{"index":0,"delta":{"content":" day"},"logprobs":null,"finish_reason":null}""");
        var finish = (await events.ReadDataAsync())!;
        finish.Id.ShouldBe("4.1.2");
        Choice(finish).ShouldBe("""{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}""");

        var usage = (await events.ReadDataAsync())!;
        usage.Json.GetProperty("choices").GetArrayLength().ShouldBe(0);
        usage.Json.GetProperty("usage").GetProperty("total_tokens").GetInt32().ShouldBe(7);
        (await events.ReadDataAsync())!.Data.ShouldBe("[DONE]");
        (await events.ReadDataAsync()).ShouldBeNull();
        (await response).Content.Headers.ContentType!.ToString().ShouldBe("text/event-stream; charset=utf-8");
    }

    [Fact]
    public async Task Choices_of_a_stream_open_and_end_each_by_itself()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Chat, """{"model":"tiny","stream":true,"n":2,"messages":[{"role":"user","content":"Hello"}]}""", Token);
        var held = await gateway.TakeAsync();
        held.Request.Choices.ShouldBe(2);
        await held.BeginAsync();
        await held.SayAsync("B", choice: 1, finish: FinishReason.Stop);
        await held.SayAsync("A", choice: 0, finish: FinishReason.Stop);
        await held.FinishAsync();

        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        var seen = new List<string>();
        while (await events.ReadDataAsync() is { } next && next.Data != "[DONE]")
        {
            next.Json.TryGetProperty("usage", out _).ShouldBeFalse();
            var choice = next.Json.GetProperty("choices")[0];
            var what = choice.GetProperty("delta").TryGetProperty("role", out _) ? "role" : choice.GetProperty("delta").TryGetProperty("content", out var text) ? text.GetString() : choice.GetProperty("finish_reason").GetString();
            seen.Add($"{choice.GetProperty("index")}:{what}");
        }

        seen.ShouldBe(["1:role", "1:B", "1:stop", "0:role", "0:A", "0:stop"]);
    }

    [Fact]
    public async Task Log_probabilities_of_a_chat_have_token_bytes_and_alternatives()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Chat, """{"model":"tiny","logprobs":true,"top_logprobs":2,"messages":[{"role":"user","content":"Hello"}]}""", Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("é", finish: FinishReason.Stop, logProbs: true);
        await held.FinishAsync();

        var json = await (await response).Content.ReadFromJsonAsync<JsonElement>(Token);
        json.GetProperty("choices")[0].GetProperty("logprobs").GetRawText().ShouldBe(
            """{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169]},{"token":"x","logprob":-1.5,"bytes":[120]}]}],"refusal":null}""");
    }

    [Fact]
    public async Task What_admission_learned_goes_down_with_the_clients_own_bytes()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        const string Body = """{"model":"tiny","seed":-1,"service_tier":"flex","max_tokens":9,"max_completion_tokens":7,"own_key":{"a":[1,{}]},"messages":[{"role":"user","content":"Hello"}]}""";

        using var gone = new CancellationTokenSource();
        var response = gateway.PostAsync(Chat, Body, gone.Token);
        var request = (await gateway.TakeAsync()).Request;
        await gone.CancelAsync();

        Encoding.UTF8.GetString(request.Body.Span).ShouldBe(Body);
        request.Seed.ShouldBe(ulong.MaxValue);
        request.Lane.ShouldBe(Lane.Batch);
        request.MaxOutputTokens.ShouldBe(7);
        request.PromptTokens.ShouldBe(Body.Length / 10);
        request.Conversation.ShouldBeNull();
        (request.Deadline - request.AcceptedAt).ShouldBe(TimeSpan.FromMinutes(10));
        await Should.ThrowAsync<OperationCanceledException>(response);
    }

    [Theory]
    [InlineData(ServingError.EngineFailed, 502, "1")]
    [InlineData(ServingError.NoCapacity, 503, "30")]
    [InlineData(ServingError.DeadlineExceeded, 504, "5")]
    public async Task A_failure_before_the_first_byte_has_its_own_status(ServingError error, int status, string? retryAfter)
    {
        // A notice would be a first byte, so a slow machine must not come to send one.
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Streaming:FirstNotice"] = "00:00:10" });
        var response = gateway.PostAsync(Chat, """{"model":"tiny","stream":true,"messages":[{"role":"user","content":"Hello"}]}""", Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FailAsync(error, "It went wrong.");

        var answer = await response;
        ((int)answer.StatusCode).ShouldBe(status);
        answer.Headers.TryGetValues("Retry-After", out var values).ShouldBe(retryAfter is not null);
        values?.Single().ShouldBe(retryAfter);
        var body = (await answer.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("error");
        body.GetProperty("message").GetString().ShouldBe("It went wrong.");
        body.GetProperty("param").ValueKind.ShouldBe(JsonValueKind.Null);
    }

    [Fact]
    public async Task A_full_queue_is_refused_with_429()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));

        var answer = await gateway.PostAsync(Chat, Hello, Token);

        answer.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        answer.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(5));
    }

    private static string Choice(SseReader.SseEvent next) => next.Json.GetProperty("choices")[0].GetRawText();
}
