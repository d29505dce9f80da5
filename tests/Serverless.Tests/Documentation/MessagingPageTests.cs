using Serverless.Contracts;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed class MessagingPageTests
{
    [Fact]
    public void What_the_page_shows_in_C_sharp_is_in_the_sample()
    {
        var sample = Directory.GetFiles(Path.Combine(Repository.Root, "samples"), "*.cs", SearchOption.AllDirectories).SelectMany(File.ReadAllLines).Select(line => line.Trim()).ToHashSet(StringComparer.Ordinal);
        var shown = Page.Read("messaging.md").Split("```csharp\n")[1..].SelectMany(block => block.Split("```")[0].Split('\n', StringSplitOptions.RemoveEmptyEntries)).ToArray();

        shown.Length.ShouldBeGreaterThan(3);
        shown.Where(line => !sample.Contains(line.Trim())).ShouldBeEmpty();
    }

    [Fact]
    public void What_the_packages_README_shows_is_run_by_a_test()
    {
        var run = File.ReadAllLines(Path.Combine(Repository.Root, "tests/Serverless.FunctionalTests/Messaging/ContractsReadmeTests.cs")).Select(line => line.Trim()).ToHashSet(StringComparer.Ordinal);
        var shown = File.ReadAllText(Path.Combine(Repository.Root, "src/Serverless.Contracts/README.md")).Split("```csharp\n")[1].Split("```")[0].Split('\n', StringSplitOptions.RemoveEmptyEntries);

        shown.Where(line => !run.Contains(line.Trim())).ShouldBeEmpty();
    }

    /// <summary>A service that was built against another package must be able to leave a field out and to read what it does not know.</summary>
    [Fact]
    public void Contracts_are_records_without_a_required_field()
    {
        var contracts = typeof(SubmitInference).Assembly.GetExportedTypes();

        contracts.ShouldAllBe(type => type.IsSealed && type.GetMethod("<Clone>$") != null && type.GetConstructor(Type.EmptyTypes) != null);
        contracts.SelectMany(type => type.GetProperties()).ShouldAllBe(property => !property.IsDefined(typeof(System.Runtime.CompilerServices.RequiredMemberAttribute), false) && property.SetMethod != null);
        typeof(SubmitInference).Assembly.GetReferencedAssemblies().ShouldAllBe(assembly => assembly.Name!.StartsWith("System", StringComparison.Ordinal));
    }
}
