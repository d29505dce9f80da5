using System.Net;
using System.Text.Json;
using Shouldly;

namespace Serverless.EndToEndTests.Distributed;

/// <summary>A request whose answer repeats its prompts: what is kept for that beside its body is larger than a frame of the broker's (F1).</summary>
public sealed class EchoTests(SimulatedRun run) : IClassFixture<SimulatedRun>
{
    [Theory]
    [InlineData(220, true)] // 1.1 KB each
    [InlineData(450, false)] // more than is repeated to a client that has them
    public async Task An_echo_of_128_prompts_is_answered_at_once_and_the_gateway_keeps_its_connection(int words, bool taken)
    {
        await run.StartAsync();
        var prompts = Enumerable.Range(0, 128).Select(number => $"{number} {string.Concat(Enumerable.Repeat("word ", words))}").ToArray();

        var answer = await run.PostAsync("/v1/completions", JsonSerializer.Serialize(new { model = "sim", prompt = prompts, echo = true, max_tokens = 1 })).WithinLimitAsync();

        answer.Status.ShouldBe(taken ? HttpStatusCode.OK : HttpStatusCode.BadRequest, $"{answer.Body}{run.Output}");
        run.Apps.Process("gateway").Output.ShouldNotContain("Lost RabbitMQ");
        if (!taken) return;

        var choices = answer.Body!["choices"]!.AsArray();
        choices.Count.ShouldBe(128);
        for (var number = 0; number < 128; number++) choices[number]!["text"]!.GetValue<string>().ShouldStartWith(prompts[number]);
    }
}
