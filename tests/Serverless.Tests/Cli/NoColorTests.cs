using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class NoColorTests
{
    [Theory]
    [InlineData("pools")]
    [InlineData("explain")]
    [InlineData("simulate")]
    [InlineData("chat")]
    public async Task No_colour_no_bold_no_link(string command)
    {
        var terminal = new TestTerminal(isTerminal: true, 80, Answers.Gateway(), "hello\n", ("NO_COLOR", "1"));
        var colourful = new TestTerminal(isTerminal: true, 80, Answers.Gateway(), "hello\n");

        await terminal.RunAsync(command);
        await colourful.RunAsync(command);

        terminal.Output.ShouldNotContain('\e');
        colourful.Output.ShouldContain('\e'.ToString());
        System.Text.RegularExpressions.Regex.Replace(colourful.Output, "\e\\[[0-9;]*m", "", System.Text.RegularExpressions.RegexOptions.None, TimeSpan.FromSeconds(1)).ShouldBe(terminal.Output);
    }
}
