using System.Net.Http.Json;
using System.Text.Json;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

public sealed class CompletionTests
{
    private const string Path = "/v1/completions";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Choices_run_over_prompts_times_n_and_echo_their_own_prompt()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Path, """{"model":"tiny","prompt":["Öne\n","Two"],"n":2,"echo":true}""", Token);
        var held = await gateway.TakeAsync();
        held.Request.Choices.ShouldBe(4);
        held.Request.MaxOutputTokens.ShouldBe(16);
        held.Request.Id.Value.ShouldStartWith("cmpl-");
        await held.BeginAsync();
        for (var choice = 3; choice >= 0; choice--) await held.SayAsync($" {choice}", choice, FinishReason.Length);
        await held.FinishAsync();

        var json = await (await response).Content.ReadFromJsonAsync<JsonElement>(Token);

        json.GetProperty("object").GetString().ShouldBe("text_completion");
        json.GetProperty("choices").EnumerateArray().Select(choice => $"{choice.GetProperty("index")}{choice.GetProperty("text")}").ShouldBe(["0Öne\n 0", "1Öne\n 1", "2Two 2", "3Two 3"]);
        json.GetProperty("choices")[0].GetProperty("finish_reason").GetString().ShouldBe("length");
    }

    [Fact]
    public async Task A_streamed_completion_echoes_first_and_finishes_last()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Path, """{"model":"tiny","prompt":"One","echo":true,"stream":true}""", Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync(" two", finish: FinishReason.Stop);
        await held.FinishAsync();

        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        var choices = new List<string>();
        while (await events.ReadDataAsync() is { } next && next.Data != "[DONE]") choices.Add(next.Json.GetProperty("choices")[0].GetRawText());

        choices.ShouldBe([
            """{"text":"One","index":0,"logprobs":null,"finish_reason":null}""",
            """{"text":" two","index":0,"logprobs":null,"finish_reason":null}""",
            """{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}""",
        ]);
    }

    [Fact]
    public async Task Log_probabilities_of_a_completion_have_the_older_shape_and_count_offsets_over_the_stream()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Path, """{"model":"tiny","prompt":"One","logprobs":2,"stream":true}""", Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("é", logProbs: true);
        await held.SayAsync("!", finish: FinishReason.Stop, logProbs: true);
        await held.FinishAsync();

        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        LogProbs(await events.ReadDataAsync()).ShouldBe("""{"tokens":["é"],"token_logprobs":[-0.5],"top_logprobs":[{"é":-0.5,"x":-1.5}],"text_offset":[0]}""");
        LogProbs(await events.ReadDataAsync()).ShouldBe("""{"tokens":["!"],"token_logprobs":[-0.5],"top_logprobs":[{"!":-0.5,"x":-1.5}],"text_offset":[1]}""");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_echo_with_log_probabilities_has_the_prompts_before_the_outputs(bool stream)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Path, $$"""{"model":"tiny","prompt":"One two","logprobs":2,"echo":true,"stream":{{(stream ? "true" : "false")}}}""", Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("!", finish: FinishReason.Stop, logProbs: true, prompt: ["One", " two"]);
        await held.FinishAsync();

        const string Expected = """{"tokens":["One"," two","!"],"token_logprobs":[null,-2,-0.5],"top_logprobs":[null,{"x":-1.5},{"!":-0.5,"x":-1.5}],"text_offset":[0,3,7]}""";
        if (!stream)
        {
            var choice = (await (await response).Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("choices")[0];
            (choice.GetProperty("text").GetString(), choice.GetProperty("logprobs").GetRawText()).ShouldBe(("One two!", Expected));
            return;
        }

        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        (await events.ReadDataAsync())!.Json.GetProperty("choices")[0].GetProperty("text").GetString().ShouldBe("One two");
        LogProbs(await events.ReadDataAsync()).ShouldBe(Expected);
    }

    private static string LogProbs(SseReader.SseEvent? next) => next!.Json.GetProperty("choices")[0].GetProperty("logprobs").GetRawText();
}
