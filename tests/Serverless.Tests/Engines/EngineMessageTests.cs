using System.Text;
using Serverless.Errors;
using Serverless.Hosting.Engines.OpenAi;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>What real engines said, read.</summary>
public sealed class EngineMessageTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Streams => new((from engine in (string[])["vllm", "llama-server"] from name in Recording.Names(engine) let recording = Recording.Of(engine, name) where recording.IsStream && name != "responses_stream" select (engine, name)));

    [Theory]
    [MemberData(nameof(Streams))]
    public async Task Every_recorded_stream_is_read_to_its_end(string engine, string name)
    {
        var messages = await ReadAsync(Recording.Of(engine, name).Body);

        messages.ShouldNotBeEmpty();
        messages.ShouldAllBe(message => message.Error == null);
        var text = string.Concat(messages.SelectMany(message => message.Deltas).Select(delta => delta.Text));
        var calls = messages.SelectMany(message => message.Deltas).SelectMany(delta => delta.ToolCalls).ToList();
        (text.Length + calls.Count).ShouldBeGreaterThan(0);
        if (name != "chat_stream_aborted") messages.SelectMany(message => message.Deltas).Last(delta => delta.Finish is not null).Finish.ShouldBeOneOf("stop", "length", "tool_calls");
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("llama-server")]
    public async Task Usage_and_cached_tokens_are_of_the_last_event(string engine)
    {
        var messages = await ReadAsync(Recording.Of(engine, "chat_stream_usage").Body);

        var usage = messages.Last(message => message.Usage is not null).Usage!;
        (usage.PromptTokens, usage.CompletionTokens).ShouldBe((37, 24));
        usage.CachedTokens.ShouldNotBeNull();
    }

    [Fact]
    public async Task Vllm_names_its_tokens_where_it_is_asked()
    {
        var messages = await ReadAsync(Recording.Of("vllm", "chat_stream_return_token_ids").Body);

        messages.SelectMany(message => message.Deltas).SelectMany(delta => delta.TokenIds ?? []).Count().ShouldBe(5);
    }

    [Fact]
    public async Task Llama_server_names_its_tokens_with_their_probabilities()
    {
        var messages = await ReadAsync(Recording.Of("llama-server", "chat_stream_logprobs").Body);

        var deltas = messages.SelectMany(message => message.Deltas).Where(delta => delta.HasOutput).ToList();
        deltas.ShouldAllBe(delta => delta.TokenIds!.Count == 1 && delta.LogProbs.Count == 1 && delta.LogProbs[0].Top.Count == 2);
    }

    [Theory]
    [InlineData("vllm", "err_context", ServingError.ContextTooLong)]
    [InlineData("llama-server", "err_context", ServingError.ContextTooLong)]
    [InlineData("vllm", "err_bad_schema", ServingError.InvalidRequest)]
    [InlineData("llama-server", "err_bad_schema", ServingError.InvalidRequest)]
    [InlineData("vllm", "err_unknown_model", ServingError.EngineFailed)]
    [InlineData("vllm", "err_unknown_route", ServingError.EngineFailed)]
    [InlineData("vllm", "err_malformed", ServingError.InvalidRequest)]
    [InlineData("llama-server", "err_missing_messages", ServingError.InvalidRequest)]
    public void Their_errors_are_ours(string engine, string name, ServingError error)
    {
        var recording = Recording.Of(engine, name);

        EngineError.Of(recording.Status, recording.Body).ToFault().Error.ShouldBe(error);
    }

    /// <summary>Errors of those that are not recorded, as their sources have them.</summary>
    [Theory]
    [InlineData(400, """{"object":"error","message":"Requested token count exceeds the model's maximum context length of 100 tokens. You requested a total of 110 tokens","type":"BadRequestError","param":null,"code":400}""", ServingError.ContextTooLong)]
    [InlineData(400, """{"object":"error","message":"The input (120 tokens) is longer than the model's context length (100 tokens).","type":"BadRequestError","param":null,"code":400}""", ServingError.ContextTooLong)]
    [InlineData(422, """{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`","error_type":"validation"}""", ServingError.ContextTooLong)]
    [InlineData(422, """{"error":"Input validation error: `temperature` must be strictly positive","error_type":"validation"}""", ServingError.InvalidRequest)]
    [InlineData(400, """{"error":{"message":"The sum of prompt length (90), query length (90) should not exceed max_seq_len (100)","type":"BadRequestError","param":null,"code":400}}""", ServingError.ContextTooLong)]
    [InlineData(422, """{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]}""", ServingError.InvalidRequest)]
    [InlineData(404, """{"error":{"message":"model 'nope' not found","type":"not_found_error","param":null,"code":null}}""", ServingError.EngineFailed)]
    [InlineData(401, """{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}""", ServingError.EngineFailed)]
    public void The_others_errors_are_ours(int status, string body, ServingError error) => EngineError.Of(status, Encoding.UTF8.GetBytes(body)).ToFault().Error.ShouldBe(error);

    [Theory]
    [InlineData("stop", "stop")]
    [InlineData("eos_token", "stop")]
    [InlineData("stop_sequence", "stop")]
    [InlineData("repetition", "stop")]
    [InlineData("of_tomorrow", "stop")]
    [InlineData("length", "length")]
    [InlineData("function_call", "tool_calls")]
    [InlineData("content_filter", "content_filter")]
    [InlineData("abort", null)]
    [InlineData("error", null)]
    [InlineData("timeout", null)]
    public void Finish_reasons_that_openai_does_not_know_are_ones_that_it_does(string said, string? reason) => Dialects.Of("vllm").FinishOf(said)?.Value.ShouldBe(reason);

    [Theory]
    [InlineData("<html><body>502 Bad Gateway</body></html>", 502, false)]
    [InlineData("", 503, true)]
    [InlineData("{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}", 503, true)]
    [InlineData("{\"detail\":\"Too Many Requests\"}", 429, true)]
    [InlineData("{\"error\":", 500, false)]
    [InlineData("[]", 500, false)]
    public void What_may_pass_is_told_from_what_does_not(string body, int status, bool passes) => EngineError.Of(status, Encoding.UTF8.GetBytes(body)).IsPassing.ShouldBe(passes);

    [Theory]
    [InlineData("<html></html>")]
    [InlineData("{\"choices\":[")]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("{\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}")]
    public void What_is_no_event_is_refused(string data) => Should.Throw<EngineAnswerException>(() => EngineMessage.Parse(Encoding.UTF8.GetBytes(data)));

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"choices\":null}")]
    [InlineData("{\"choices\":[7,null,{\"index\":\"x\",\"delta\":7,\"finish_reason\":7,\"token_ids\":[null,\"x\"],\"logprobs\":{\"content\":[7]}}]}")]
    [InlineData("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":7},8]}}],\"usage\":{\"prompt_tokens\":\"x\"}}")]
    public void What_is_odd_is_passed_over(string data) => EngineMessage.Parse(Encoding.UTF8.GetBytes(data)).Error.ShouldBeNull();

    [Fact]
    public async Task A_line_without_an_end_is_refused_at_a_megabyte()
    {
        using var endless = new MemoryStream(Encoding.UTF8.GetBytes("data: " + new string('x', 2 << 20)));

        await Should.ThrowAsync<EngineAnswerException>(async () => await EventLines.ReadAsync(endless, Token).CountAsync(Token));
    }

    [Theory]
    [InlineData("data: a\n\ndata: b\n\n")]
    [InlineData("data:a\r\n\r\n: comment\r\nevent: x\r\ndata: b")]
    [InlineData("\n\n\ndata: a\nid: 7\ndata: b\n")]
    public async Task Lines_of_data_are_taken_whatever_stands_between(string stream)
    {
        using var bytes = new MemoryStream(Encoding.UTF8.GetBytes(stream));

        (await EventLines.ReadAsync(bytes, Token).Select(data => Encoding.UTF8.GetString(data)).ToListAsync(Token)).ShouldBe(["a", "b"]);
    }

    private static async Task<List<EngineMessage>> ReadAsync(byte[] stream)
    {
        using var bytes = new MemoryStream(stream);
        return await EventLines.ReadAsync(bytes, Token).Where(data => !data.AsSpan().SequenceEqual("[DONE]"u8)).Select(data => EngineMessage.Parse(data)).ToListAsync(Token);
    }
}
