using System.Net;
using System.Text;
using System.Text.Json;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Streams as the clients that are most used decode them, from a model that takes eight seconds a token.</summary>
public sealed class WireTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Streamed = """{"model":"tiny","stream":true,"messages":[{"role":"user","content":"Hello"}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_slow_stream_is_read_by_openai_python_and_openai_go()
    {
        var time = new TestClock();
        await using var gateway = await GatewayUnderTest.StartAsync(backend: new Backend(time));
        var response = gateway.PostAsync(Chat, Streamed);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var reader = new StreamReader(await (await response).Content.ReadAsStreamAsync(Token));
        var text = new StringBuilder();
        await ReadToAsync(reader, text, line => line.Contains("Good", StringComparison.Ordinal));
        foreach (var token in new[] { " day", " to", " you" })
        {
            await time.MeanwhileAsync(ReadToAsync(reader, text, line => line.StartsWith(':')), within: 8);
            await held.SayAsync(token);
            await ReadToAsync(reader, text, line => line.Contains(token, StringComparison.Ordinal));
        }

        await held.FinishAsync();
        text.Append(await reader.ReadToEndAsync(Token));

        foreach (var decoded in new[] { OpenAiPython(text.ToString()), OpenAiGo(text.ToString()) })
        {
            decoded[^1].ShouldBe("[DONE]");
            string.Concat(decoded.SkipLast(1).Select(data => JsonElement.Parse(data).GetProperty("choices")[0].GetProperty("delta")).Select(delta => delta.TryGetProperty("content", out var part) ? part.GetString() : ""))
                .ShouldBe("Good day to you");
        }
    }

    [Fact]
    public async Task A_stream_that_may_yet_be_answered_by_an_id_is_not_silent_for_longer_than_proxies_bear()
    {
        var time = new TestClock();
        await using var gateway = await GatewayUnderTest.StartAsync(backend: new Backend(time));
        var asked = gateway.PostAsync(Chat, Streamed, ("Prefer", "respond-async, wait=3600"));
        var held = await gateway.TakeAsync();

        await time.MeanwhileAsync(asked, within: 27);
        var response = await asked;

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        using var events = new SseReader(await response.Content.ReadAsStreamAsync(Token));
        (await events.ReadAsync())!.Comment.ShouldNotBeNull();
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();
        while (await events.ReadDataAsync() is { } part && part.Data != "[DONE]")
        {
        }
    }

    [Fact]
    public async Task Calls_of_tools_reasoning_and_any_reason_reach_the_client()
    {
        foreach (var stream in new[] { true, false })
        {
            await using var gateway = await GatewayUnderTest.StartAsync();
            var response = gateway.PostAsync(Chat, stream ? Streamed : Streamed.Replace("true", "false", StringComparison.Ordinal));
            var held = await gateway.TakeAsync();
            await held.BeginAsync();
            await held.AppendAsync(new RequestEvent.Chunk([new ChoiceChunk(0, 0, [1], "") { Reasoning = "hm" }]));
            await held.AppendAsync(new RequestEvent.Chunk([new ChoiceChunk(0, 1, [2], "") { ToolCalls = [new ToolCallFragment(0, "call_1", "find", "{\"a\"")] }]));
            await held.AppendAsync(new RequestEvent.Chunk([new ChoiceChunk(0, 2, [3], "") { ToolCalls = [new ToolCallFragment(0, "", "", ":1}")], Finish = FinishReason.ToolCalls }]));
            await held.FinishAsync();

            if (!stream)
            {
                var choice = JsonElement.Parse(await (await response).Content.ReadAsStringAsync(Token)).GetProperty("choices")[0];
                choice.GetProperty("message").GetProperty("reasoning_content").GetString().ShouldBe("hm");
                choice.GetProperty("message").GetProperty("content").ValueKind.ShouldBe(JsonValueKind.Null);
                choice.GetProperty("message").GetProperty("tool_calls").GetRawText().ShouldBe("""[{"id":"call_1","type":"function","function":{"name":"find","arguments":"{\"a\":1}"}}]""");
                choice.GetProperty("finish_reason").GetString().ShouldBe("tool_calls");
                continue;
            }

            var deltas = (await ResumeTests.ReadAllAsync(await response)).SkipLast(1).Select(part => JsonElement.Parse(part.Data).GetProperty("choices")[0]).ToList();
            deltas[1].GetProperty("delta").GetRawText().ShouldBe("""{"reasoning_content":"hm"}""");
            deltas[2].GetProperty("delta").GetRawText().ShouldBe("""{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"find","arguments":"{\"a\""}}]}""");
            deltas[3].GetProperty("delta").GetRawText().ShouldBe("""{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}""");
            deltas[4].GetProperty("finish_reason").GetString().ShouldBe("tool_calls");
        }
    }

    private static async Task ReadToAsync(StreamReader reader, StringBuilder text, Func<string, bool> isLast)
    {
        while (await reader.ReadLineAsync(Token).AsTask().WithinLimitAsync() is { } line)
        {
            text.Append(line).Append('\n');
            if (isLast(line)) return;
        }

        throw new InvalidOperationException($"The stream ended: {text}");
    }

    /// <summary>
    /// The rule of openai-python, <c>SSEDecoder.decode</c> in <c>openai/_streaming.py</c>: a line that begins with a colon is passed over; a blank line gives an event if there is any of event, data, retry
    /// <b>or a last id, which is never reset</b>; its data is then parsed as JSON, be it empty.
    /// </summary>
    private static List<string> OpenAiPython(string text)
    {
        var (events, data, lastId) = (new List<string>(), new List<string>(), "");
        foreach (var line in text.Split('\n'))
        {
            if (line.Length == 0)
            {
                if (data.Count == 0 && lastId.Length == 0) continue;
                events.Add(string.Join('\n', data));
                data.Clear();
                if (events[^1].StartsWith("[DONE]", StringComparison.Ordinal)) return events;
                JsonElement.Parse(events[^1]);
            }
            else if (line[0] != ':')
            {
                var (name, value) = Cut(line);
                if (name == "data") data.Add(value);
                else if (name == "id") lastId = value;
            }
        }

        return events;
    }

    /// <summary>The rule of openai-go before v1.12, <c>eventStreamDecoder.Next</c> in <c>packages/ssestream</c>: a line without a name is passed over; <b>every blank line gives an event</b>, whose data is parsed.</summary>
    private static List<string> OpenAiGo(string text)
    {
        var (events, data) = (new List<string>(), "");
        foreach (var line in text.Split('\n'))
        {
            if (line.Length == 0)
            {
                events.Add(data.TrimEnd('\n'));
                data = "";
                if (events[^1].StartsWith("[DONE]", StringComparison.Ordinal)) return events;
                JsonElement.Parse(events[^1]);
            }
            else if (Cut(line) is ("data", var value))
            {
                data += value + "\n";
            }
        }

        return events;
    }

    private static (string Name, string Value) Cut(string line)
    {
        var colon = line.IndexOf(':', StringComparison.Ordinal);
        var value = colon < 0 ? "" : line[(colon + 1)..];
        return (colon < 0 ? line : line[..colon], value.StartsWith(' ') ? value[1..] : value);
    }
}
