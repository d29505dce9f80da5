using System.Text.RegularExpressions;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Documentation;

/// <summary>What pages tell to type and no test can run: the one list of them. What such a line names is looked at all the same.</summary>
internal sealed partial record ExemptCommand(string Program, string? Argument, string Reason, Action<IReadOnlyList<string>> Check)
{
    public static readonly IReadOnlyList<ExemptCommand> All =
    [
        new("make", null, "builds, tests or measures everything, for minutes; what it builds is what runs here", CheckMake),
        new("dotnet", "test", "runs this test", CheckPaths),
        new("dotnet", "pack", "builds for a minute, into the clone", CheckPaths),
        new("dotnet", "tool", "installs for the whole user, from what pack made", CheckTool),
        new("dapr", "init", "installs Dapr's programs for the whole user", words => words.ShouldBe(["dapr", "init", "--slim"])),
        new("kubectl", null, "wants a cluster", words => words[1].ShouldBeOneOf("get", "rollout")),
    ];

    public static ExemptCommand? Of(IReadOnlyList<string> words) => All.FirstOrDefault(one => one.Program == words[0] && (one.Argument is null || one.Argument == words.ElementAtOrDefault(1)));

    private static void CheckMake(IReadOnlyList<string> words)
    {
        var makefile = File.ReadAllText(Path.Combine(Checkout.Root, "Makefile"));
        foreach (var word in words.Skip(1))
        {
            if (word.Split('=') is not [var variable, var value])
            {
                makefile.ShouldMatch($"(?m)^{Regex.Escape(word)}:", $"the Makefile has no target '{word}'");
                continue;
            }

            makefile.ShouldContain($"$({variable})", customMessage: $"the Makefile reads no {variable}");
            Regex.Match(makefile, $@"\b{Regex.Escape(variable)}=([\w|]+) ", RegexOptions.None, TimeSpan.FromSeconds(1)).Groups[1].Value.Split('|').ShouldContain(value, $"the Makefile's help of {variable} does not name it");
        }
    }

    /// <summary>Projects and folders that it names are there, and what is filtered for is.</summary>
    private static void CheckPaths(IReadOnlyList<string> words)
    {
        foreach (var path in words.Skip(2).Where(word => !word.StartsWith('-') && PathLike().IsMatch(word)))
        {
            (File.Exists(Path.Combine(Checkout.Root, path)) || Directory.Exists(Path.Combine(Checkout.Root, path))).ShouldBeTrue($"the clone has no '{path}'");
        }

        if (words.SkipWhile(word => word != "--filter-method").ElementAtOrDefault(1)?.Trim('*') is { } method)
        {
            Directory.EnumerateFiles(Path.Combine(Checkout.Root, "tests"), "*Tests.cs", SearchOption.AllDirectories).Any(file => File.ReadAllText(file).Contains(method, StringComparison.Ordinal)).ShouldBeTrue($"no test is called '{method}'");
        }
    }

    private static void CheckTool(IReadOnlyList<string> words)
    {
        words.Take(4).ShouldBe(["dotnet", "tool", "install", "--global"]);
        File.ReadAllText(Path.Combine(Checkout.Root, "src", words[4], words[4] + ".csproj")).ShouldContain("<PackAsTool>true</PackAsTool>");
        words.Skip(5).ShouldBe(["--add-source", "artifacts/package/release"], "where 'dotnet pack' lays packages");
    }

    [GeneratedRegex(@"/|\.sln$|\.csproj$", RegexOptions.None, 1000)]
    private static partial Regex PathLike();
}
