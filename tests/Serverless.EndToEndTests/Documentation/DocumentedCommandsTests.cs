using Serverless.Documentation;
using Serverless.EndToEndTests.Distributed;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Documentation;

/// <summary>Every command line of every page, run as somebody would type it. What cannot be run is in <see cref="ExemptCommand.All"/>; scripts (curl, Python and C# of docs/requests.md) are run by RequestSnippetTests.</summary>
public sealed class DocumentedCommandsTests(DaprRun run) : IClassFixture<DaprRun>
{
    public static TheoryData<string> Pages => [.. DocumentedCommand.Pages(Checkout.Root).Where(page => DocumentedCommand.Of(Checkout.Root, page).Count > 0)];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Every_command_of_a_page_runs_in_its_order(string page)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows() || PartProcess.Find("bash") is null || PartProcess.Find("curl") is null, "bash or curl is not installed");
        await using var session = new PageSession(run);

        foreach (var command in DocumentedCommand.Of(Checkout.Root, page)) TestContext.Current.TestOutputHelper!.WriteLine($"{command.Page}:{command.Line}: {command.Text}\n    {await session.RunAsync(command)}");

        Assert.SkipWhen(session.Absent is not null, $"all else of {page} ran; {session.Absent}");
    }

    [Fact]
    public void What_is_exempt_is_on_a_page()
    {
        var programs = DocumentedCommand.Pages(Checkout.Root).SelectMany(page => DocumentedCommand.Of(Checkout.Root, page)).SelectMany(command => command.Programs).ToArray();

        programs.Length.ShouldBeGreaterThan(60);
        ExemptCommand.All.ShouldAllBe(exempt => programs.Any(words => ExemptCommand.Of(words) == exempt));
    }
}
