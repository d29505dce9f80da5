using Serverless.Cli.Client;
using Serverless.Cli.Commands;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class PoolsCommandTests
{
    private static readonly PoolRow[] Pools =
    [
        new("tiny-cpu", "zero", 0, 0, 0, 0, 0, null),
        new("llama-3-8b-a100", "starting", 12, 3, 1_234_567, 45_678, 0.87, "12,400 prompt and 0 output tokens pending, 0 requests running = 9.3 replica-seconds; target 5 s → 2"),
    ];

    [Fact]
    public void Each_pool_is_a_line_of_at_most_80_columns()
    {
        var text = PlainConsole.Read(width: 80, console => PoolsCommand.Show(console, Pools));

        text.ShouldBe("""
            pool             state     ready    pending  running    KV  last decision
            tiny-cpu         zero        0/0          0        0   0 %  none yet
            llama-3-8b-a100  starting   3/12  1,234,567   45,678  87 %  12,400 prompt and 0…

            """.ReplaceLineEndings("\n"));
    }

    [Theory]
    [InlineData(200, "target 5 s → 2")]
    [InlineData(60, "87 %")]
    public void A_reason_takes_the_width_there_is(int width, string end)
    {
        var text = PlainConsole.Read(width, console => PoolsCommand.Show(console, Pools));

        text.TrimEnd().Split('\n').Length.ShouldBe(3);
        text.TrimEnd().ShouldEndWith(end);
    }
}
