using Serverless.Cli.Client;
using Serverless.Cli.Commands;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class ExplainCommandTests
{
    [Fact]
    public void The_account_gives_each_decision_its_reasons_and_numbers()
    {
        var at = new DateTimeOffset(2026, 1, 1, 12, 30, 5, TimeSpan.Zero);

        var text = PlainConsole.Read(width: 400, console => ExplainCommand.Show(console, "m-a10", [
            new DecisionRow(at, 0, false, ["no work pending or running → 0"], new Dictionary<string, string>()),
            new DecisionRow(at.AddSeconds(1), 2, true, ["12,400 prompt and 0 output tokens pending, 0 requests running = 9.3 replica-seconds; target 5 s; cold start 14.0 s; 0 up or loading → 2"], new Dictionary<string, string> { ["workSeconds"] = "9.3" }),
        ], last: 1));

        text.ShouldBe("""
            12:30:06 m-a10 → 2 (active)
              12,400 prompt and 0 output tokens pending, 0 requests running = 9.3 replica-seconds; target 5 s; cold start 14.0 s; 0 up or loading → 2
              workSeconds 9.3

            """.ReplaceLineEndings("\n"));
    }
}
