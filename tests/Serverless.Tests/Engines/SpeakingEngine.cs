using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Serverless.Tests.Engines;

/// <summary>Completions as vLLM and SGLang stream them, of words that are counted: what a prompt has of them already is gone on from.</summary>
internal static class SpeakingEngine
{
    private const string Beginning = "Once upon a time";

    /// <summary>Answers.</summary>
    /// <param name="http">The request.</param>
    /// <param name="namesTokens">Whether it says which tokens they are (vLLM), or how many along the way (SGLang).</param>
    public static async Task AnswerAsync(HttpContext http, bool namesTokens)
    {
        var asked = (JsonObject)http.Items[typeof(JsonObject)]!;
        if (asked["prompt"] is not { } prompt)
        {
            await StubEngine.Plays(Recording.Of("vllm", "err_missing_messages"))(http);
            return;
        }

        http.Response.ContentType = "text/event-stream; charset=utf-8";
        var said = prompt.GetValue<string>()[Beginning.Length..];
        var first = 0;
        for (var at = 0; at < said.Length; at += Word(first++).Length)
        {
            if (!said.AsSpan(at).StartsWith(Word(first), StringComparison.Ordinal)) throw new InvalidOperationException($"'{said}' is not what it said.");
        }

        var choices = asked["n"]?.GetValue<int>() ?? 1;
        var most = asked["max_tokens"]!.GetValue<int>();
        for (var one = 0; one < most; one++)
        {
            for (var choice = 0; choice < choices; choice++)
            {
                var delta = new JsonObject { ["index"] = choice, ["text"] = Word(first + one), ["logprobs"] = null, ["finish_reason"] = one == most - 1 ? "length" : null, ["stop_reason"] = null };
                if (namesTokens && asked["return_token_ids"]!.GetValue<bool>()) delta["token_ids"] = new JsonArray(1000 + first + one);
                await SayAsync(http, new JsonObject { ["id"] = "cmpl-1", ["object"] = "text_completion", ["choices"] = new JsonArray(delta), ["usage"] = namesTokens ? null : Usage(one + 1) });
            }
        }

        await SayAsync(http, new JsonObject { ["id"] = "cmpl-1", ["object"] = "text_completion", ["choices"] = new JsonArray(), ["usage"] = Usage(choices * most) });
        await http.Response.WriteAsync("data: [DONE]\n\n", http.RequestAborted);
    }

    private static string Word(int index) => string.Create(CultureInfo.InvariantCulture, $" word{index},");

    private static JsonObject Usage(int tokens) => new() { ["prompt_tokens"] = 4, ["completion_tokens"] = tokens, ["total_tokens"] = 4 + tokens };

    private static async Task SayAsync(HttpContext http, JsonObject message)
    {
        await http.Response.WriteAsync($"data: {message.ToJsonString(JsonSerializerOptions.Default)}\n\n", http.RequestAborted);
        await http.Response.Body.FlushAsync(http.RequestAborted);
    }
}
