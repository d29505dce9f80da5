using System.Diagnostics;
using Shouldly;

namespace Serverless.Tests.Cli;

/// <summary>The clone's <c>./serverless</c>, with a dotnet that only notes what it is asked.</summary>
public sealed class ScriptTests : IDisposable
{
    private const string FakeDotnet = """
        #!/usr/bin/env bash
        echo "dotnet $*" >> "$CALLS"
        if [ "$1" = build ]; then
          if [ -n "${BUILD_FAILS:-}" ]; then echo "Program.cs(1,1): error CS1002: ; expected"; exit 1; fi
          mkdir -p "$CLONE/artifacts/bin/Serverless.Cli/release"
          touch "$CLONE/artifacts/bin/Serverless.Cli/release/Serverless.Cli.dll"
        else
          shift
          printf 'ran:'; printf ' <%s>' "$@"; echo
          exit 7
        fi
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-script-");

    public ScriptTests()
    {
        Directory.CreateDirectory(Path.Combine(Clone, "src", "Serverless.Cli"));
        Directory.CreateDirectory(Path.Combine(Clone, "scalers"));
        Directory.CreateDirectory(Path.Combine(_folder.FullName, "bin"));
        File.Copy(Path.Combine(Repository.Root, "serverless"), Script);
        File.WriteAllText(Source, "");
        var dotnet = Path.Combine(_folder.FullName, "bin", "dotnet");
        File.WriteAllText(dotnet, FakeDotnet.ReplaceLineEndings("\n"));
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(dotnet, UnixFileMode.UserRead | UnixFileMode.UserExecute);
    }

    private string Clone => Path.Combine(_folder.FullName, "clone");

    private string Script => Path.Combine(Clone, "serverless");

    private string Source => Path.Combine(Clone, "src", "Serverless.Cli", "Program.cs");

    private string[] Calls => File.Exists(Path.Combine(_folder.FullName, "calls")) ? File.ReadAllLines(Path.Combine(_folder.FullName, "calls")) : [];

    private int Builds => Calls.Count(call => call.StartsWith("dotnet build", StringComparison.Ordinal));

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task It_builds_once_says_so_and_passes_on_what_it_was_given()
    {
        SkipOnWindows();

        var first = await RunAsync(Script, "run", "two words", "*");
        first.Output.ShouldBe("ran: <run> <two words> <*>\n");
        first.Error.ShouldMatch(@"^Building serverless: once, about a minute …\nBuilt serverless in \d+ s\.\n$");
        first.Code.ShouldBe(7, "it is the tool's");

        var second = await RunAsync(Script, "pools");
        second.ShouldBe(("ran: <pools>\n", "", 7));
        Builds.ShouldBe(1);
    }

    [Fact]
    public async Task It_builds_again_after_a_source_changed()
    {
        SkipOnWindows();
        await RunAsync(Script);

        File.SetLastWriteTimeUtc(Source, File.GetLastWriteTimeUtc(Path.Combine(Clone, "artifacts/bin/Serverless.Cli/release/Serverless.Cli.dll")).AddSeconds(1));
        var changed = await RunAsync(Script);

        changed.Error.ShouldStartWith("Building serverless: its sources changed …\n");
        Builds.ShouldBe(2);
    }

    [Fact]
    public async Task It_works_from_any_folder_and_through_links()
    {
        SkipOnWindows();
        await RunAsync(Script);
        var relative = Path.Combine(_folder.FullName, "bin", "near");
        var absolute = Path.Combine(_folder.FullName, "bin", "serverless");
        File.CreateSymbolicLink(relative, "../clone/serverless");
        File.CreateSymbolicLink(absolute, relative);

        (await RunAsync(absolute, "up")).ShouldBe(("ran: <up>\n", "", 7));
        (await RunAsync("serverless", "up")).ShouldBe(("ran: <up>\n", "", 7));
        Builds.ShouldBe(1);
    }

    /// <summary>A key that is pressed for a completion must not be a minute of a dead shell.</summary>
    [Fact]
    public async Task What_a_shell_asks_for_completion_builds_nothing()
    {
        SkipOnWindows();
        (await RunAsync(Script, "[suggest:2]", "po")).ShouldBe(("", "", 0), "there is nothing to ask yet");
        Calls.ShouldBeEmpty();
        await RunAsync(Script);
        File.SetLastWriteTimeUtc(Source, File.GetLastWriteTimeUtc(Path.Combine(Clone, "artifacts/bin/Serverless.Cli/release/Serverless.Cli.dll")).AddSeconds(1));

        (await RunAsync(Script, "[suggest:2]", "po")).ShouldBe(("ran: <[suggest:2]> <po>\n", "", 7));
        Builds.ShouldBe(1);
    }

    [Fact]
    public async Task A_build_that_fails_is_told_in_its_own_words_and_tried_again()
    {
        SkipOnWindows();

        var (output, error, code) = await RunAsync("env", "BUILD_FAILS=1", Script, "up");

        code.ShouldBe(1);
        output.ShouldBeEmpty();
        error.ShouldContain("Program.cs(1,1): error CS1002: ; expected\n");
        error.ShouldContain($"all of it is in {Path.Combine(Clone, "artifacts", "serverless-build.log")}.");
        (await RunAsync(Script, "up")).Code.ShouldBe(7);
    }

    private static void SkipOnWindows() => Assert.SkipWhen(OperatingSystem.IsWindows(), "the script is for bash");

    private async Task<(string Output, string Error, int Code)> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo("/usr/bin/env", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, UseShellExecute = false, WorkingDirectory = "/" };
        start.Environment["PATH"] = $"{Path.Combine(_folder.FullName, "bin")}:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["CALLS"] = Path.Combine(_folder.FullName, "calls");
        start.Environment["CLONE"] = Clone;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var (output, error) = (process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
        return (await output, await error, process.ExitCode);
    }
}
