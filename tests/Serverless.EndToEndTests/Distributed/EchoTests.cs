using System.Net;
using System.Text.Json;
using Shouldly;

namespace Serverless.EndToEndTests.Distributed;

/// <summary>A request whose answer repeats its prompts: what is kept for that beside its body is larger than a frame of the broker's (F1).</summary>
public sealed class EchoTests(SimulatedRun run) : IClassFixture<SimulatedRun>
{
    [Fact]
    public async Task An_echo_of_128_prompts_is_answered_and_the_gateway_keeps_its_connection()
    {
        await run.StartAsync();
        var prompts = Enumerable.Range(0, 128).Select(number => $"{number} {string.Concat(Enumerable.Repeat("word ", 220))}").ToArray();

        var answer = await run.PostAsync("/v1/completions", JsonSerializer.Serialize(new { model = "sim", prompt = prompts, echo = true, max_tokens = 1 })).WithinLimitAsync();

        answer.Status.ShouldBe(HttpStatusCode.OK, $"{answer.Body}{run.Output}");
        var choices = answer.Body!["choices"]!.AsArray();
        choices.Count.ShouldBe(128);
        for (var number = 0; number < 128; number++) choices[number]!["text"]!.GetValue<string>().ShouldStartWith(prompts[number]);
        run.Apps.Process("gateway").Output.ShouldNotContain("Lost RabbitMQ");
    }
}
