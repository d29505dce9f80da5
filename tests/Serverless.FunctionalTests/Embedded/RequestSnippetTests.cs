using System.Diagnostics;
using Shouldly;

namespace Serverless.FunctionalTests.Embedded;

/// <summary>docs/requests.md's own commands against the platform as <c>serverless up</c> builds it.</summary>
public sealed class RequestSnippetTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(Root(), "docs", "requests.md"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_the_page_says_in_curl_runs()
    {
        if (Find("bash", "curl") is not { } bash)
        {
            Assert.Skip("bash or curl is not installed");
            return;
        }

        var output = await RunAsync(bash, "-s", Snippet("bash"));

        AssertResumedAndKept(output);
        var ids = output.Split('\n').Where(line => line.StartsWith("chatcmpl-", StringComparison.Ordinal)).Select(line => line.Split(' ')[0]).ToList();
        ids.Count.ShouldBe(2, output);
        ids[0].ShouldBe(ids[1], output);
    }

    [Fact]
    public async Task What_the_page_says_in_Python_runs()
    {
        if (Find("python3", "python3") is not { } python)
        {
            Assert.Skip("python3 is not installed");
            return;
        }

        var output = await RunAsync(python, "-", Snippet("python"));

        output.ShouldContain("data: [DONE]");
        output.TrimEnd().ShouldEndWith("once");
    }

    [Fact]
    public async Task What_the_page_says_in_C_sharp_runs_and_is_what_is_compiled_here()
    {
        var source = await File.ReadAllTextAsync(Path.Combine(Root(), "tests", "Serverless.FunctionalTests", "Embedded", "RequestSnippet.cs"), Token);
        Lines(source.Split("// from here")[1].Split("// to here")[0]).ShouldBe(Lines(Snippet("csharp")));
        await using var platform = await EmbeddedUnderTest.StartAsync(TimeProvider.System);
        var lines = new List<string>();

        await RequestSnippet.RunAsync(platform.Client, lines.Add, Token);

        AssertResumedAndKept(string.Join('\n', lines));
        lines[^1].ShouldBe("once");
    }

    private static void AssertResumedAndKept(string output)
    {
        output.ShouldContain("data: [DONE]");
        output.ShouldContain("\"status\":\"completed\"");
    }

    private static async Task<string> RunAsync(string program, string argument, string snippet)
    {
        var folder = Directory.CreateTempSubdirectory("serverless-test");
        await using var platform = await EmbeddedUnderTest.StartAsync(TimeProvider.System);
        try
        {
            var start = new ProcessStartInfo(program, [argument]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder.FullName };
            start.Environment["no_proxy"] = "127.0.0.1";
            using var process = Process.Start(start).ShouldNotBeNull();
            var reading = Task.WhenAll(process.StandardOutput.ReadToEndAsync(Token), process.StandardError.ReadToEndAsync(Token));
            await process.StandardInput.WriteAsync(snippet.Replace("http://127.0.0.1:8080", platform.Client.BaseAddress!.GetLeftPart(UriPartial.Authority), StringComparison.Ordinal).AsMemory(), Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(Token).WithinLimitAsync();
            var output = string.Concat(await reading);
            process.ExitCode.ShouldBe(0, output);
            return output;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string Snippet(string language) => Page.Split($"```{language}\n").ShouldNotBeNull() is [_, var after] ? after.Split("```")[0] : throw new InvalidOperationException($"docs/requests.md has not one snippet in {language}.");

    private static IEnumerable<string> Lines(string code) => code.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0);

    private static string? Find(params string[] programs)
    {
        var found = programs.Select(program => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists)).ToList();
        return found.TrueForAll(path => path is not null) ? found[0] : null;
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Serverless.sln"))) folder = folder.Parent;
        return folder.ShouldNotBeNull("the tests run in the clone").FullName;
    }
}
