using Serverless.Documentation;
using Serverless.EndToEndTests.Distributed;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Documentation;

/// <summary>Every command line of every page, run as somebody would type it. What cannot be run is in <see cref="ExemptCommand.All"/>; scripts (curl, Python and C# of docs/requests.md) are run by RequestSnippetTests.</summary>
public sealed class DocumentedCommandsTests(PageClone clone, DaprRun run) : IClassFixture<PageClone>, IClassFixture<DaprRun>
{
    public static TheoryData<string> Pages => [.. Paged()];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Every_command_of_a_page_runs_in_its_order(string page)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows() || PartProcess.Find("bash") is null || PartProcess.Find("curl") is null, "bash or curl is not installed");
        var before = Paged().TakeWhile(earlier => earlier != page).SelectMany(earlier => DocumentedCommand.Of(Checkout.Root, earlier)).Select(Plain).ToHashSet(StringComparer.Ordinal);
        await using var session = new PageSession(clone, run);

        foreach (var command in DocumentedCommand.Of(Checkout.Root, page))
        {
            // What text says and a page before has run is not typed twice.
            var how = command.IsInline && before.Contains(Plain(command)) && ExemptCommand.Of(command.Programs[0]) is null ? "ran on a page before" : await session.RunAsync(command);
            TestContext.Current.TestOutputHelper!.WriteLine($"{command.Page}:{command.Line}: {command.Text.ReplaceLineEndings(" ")}\n    {how}");
        }

        Assert.SkipWhen(session.Absent is not null, $"all else of {page} ran; {session.Absent}");
    }

    [Fact]
    public void What_is_exempt_is_on_a_page()
    {
        var programs = DocumentedCommand.Pages(Checkout.Root).SelectMany(page => DocumentedCommand.Of(Checkout.Root, page)).SelectMany(command => command.Programs).ToArray();

        programs.Length.ShouldBeGreaterThan(60);
        ExemptCommand.All.ShouldAllBe(exempt => programs.Any(words => ExemptCommand.Of(words) == exempt));
    }

    private static IEnumerable<string> Paged() => DocumentedCommand.Pages(Checkout.Root).Where(page => DocumentedCommand.Of(Checkout.Root, page).Count > 0);

    private static string Plain(DocumentedCommand command) => command.Text.StartsWith("./", StringComparison.Ordinal) ? command.Text[2..] : command.Text;
}
