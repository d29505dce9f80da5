using System.Text.RegularExpressions;
using System.Xml.Linq;
using Shouldly;

namespace Serverless.Tests;

/// <summary>The house of docs/architecture.md, held against the project files and the source.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly Dictionary<string, string[]> MayReference = new(StringComparer.Ordinal)
    {
        ["Serverless"] = [],
        ["Serverless.Inference"] = [],
        ["Serverless.Contracts"] = [],
        ["Serverless.Hosting"] = ["Serverless", "Serverless.Inference", "Serverless.Contracts"],
        ["Serverless.Gateway"] = ["Serverless", "Serverless.Hosting", "Serverless.Contracts"],
        ["Serverless.Scaler"] = ["Serverless", "Serverless.Hosting"],
        ["Serverless.Worker"] = ["Serverless", "Serverless.Hosting"],
        ["Serverless.Samples.Messaging"] = ["Serverless.Contracts"],
        ["Serverless.Cli"] = ["Serverless", "Serverless.Hosting", "Serverless.Inference", "Serverless.Gateway", "Serverless.Scaler", "Serverless.Worker"],
    };

    private const int MostParameters = 8;

    /// <summary>Rooms of the domain from the bottom up: each may use those before it.</summary>
    private static readonly string[] DomainFloors = ["Errors", "Loops", "Feeds", "Documents", "Events", "Catalog", "Requests", "Tenancy", "Files", "Batches", "Leases", "Sessions", "Engines", "Demand", "Dispatching", "Scaling", "Simulation"];

    [Fact]
    public void Projects_reference_only_what_the_table_allows()
    {
        foreach (var project in Projects())
        {
            var name = Path.GetFileNameWithoutExtension(project);
            MayReference.ShouldContainKey(name, $"{project} is not in the table of docs/architecture.md");

            var references = XDocument.Load(project).Descendants("ProjectReference").Select(reference => ProjectName(reference.Attribute("Include")!.Value));

            references.Except(MayReference[name]).ShouldBeEmpty($"{name} references what it may not");
        }
    }

    [Theory]
    [InlineData("Serverless")]
    [InlineData("Serverless.Inference")]
    [InlineData("Serverless.Contracts")]
    public void The_libraries_use_the_base_class_library_alone(string name)
    {
        var project = XDocument.Load(Projects().Single(path => Path.GetFileNameWithoutExtension(path) == name));

        project.Descendants("PackageReference").ShouldBeEmpty();
        project.Descendants("FrameworkReference").ShouldBeEmpty();
    }

    [Fact]
    public void The_sample_uses_nothing_but_the_contracts_and_MassTransit()
    {
        var project = XDocument.Load(Projects().Single(path => Path.GetFileNameWithoutExtension(path) == "Serverless.Samples.Messaging"));

        project.Descendants("PackageReference").Select(package => package.Attribute("Include")!.Value).ShouldBe(["MassTransit.RabbitMQ"]);
        project.Descendants("FrameworkReference").ShouldBeEmpty();
    }

    [Fact]
    public void The_rooms_of_the_domain_depend_one_way()
    {
        foreach (var file in Sources("src/Serverless"))
        {
            var floor = Array.IndexOf(DomainFloors, Path.GetRelativePath(Path.Combine(Repository.Root, "src/Serverless"), file).Split('/')[0]);
            floor.ShouldBeGreaterThanOrEqualTo(0, $"{file} is in no room of the domain");

            foreach (var used in Usings(file, "Serverless."))
            {
                Array.IndexOf(DomainFloors, used.Split('.')[1]).ShouldBeLessThanOrEqualTo(floor, $"{file} uses {used}, a room above its own");
            }
        }
    }

    [Fact]
    public void No_rooms_of_any_project_form_a_circle()
    {
        var uses = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        foreach (var file in Projects().SelectMany(project => Sources(Path.GetDirectoryName(project)!)))
        {
            var room = NamespaceLine().Match(File.ReadAllText(file)).Groups[1].Value;
            if (!uses.TryGetValue(room, out var rooms)) uses[room] = rooms = new SortedSet<string>(StringComparer.Ordinal);
            rooms.UnionWith(Usings(file, "Serverless").Where(used => used != room));
        }

        foreach (var room in uses.Keys) Reaches(uses, room, room, []).ShouldBeFalse($"{room} reaches itself through what it uses");
    }

    [Fact]
    public void Files_are_named_after_their_room()
    {
        foreach (var project in Projects())
        {
            var folder = Path.GetDirectoryName(project)!;
            foreach (var file in Sources(folder).Where(file => NamespaceLine().IsMatch(File.ReadAllText(file))))
            {
                var declared = NamespaceLine().Match(File.ReadAllText(file)).Groups[1].Value;
                if (declared == "Microsoft.Extensions.DependencyInjection") continue;

                var inside = Path.GetRelativePath(folder, Path.GetDirectoryName(file)!).Replace('/', '.');
                var expected = Path.GetFileNameWithoutExtension(project) + (inside == "." ? "" : "." + inside);
                declared.ShouldBe(expected, file);
            }
        }
    }

    [Fact]
    public void No_class_needs_more_than_eight_others()
    {
        var assemblies = new[] { typeof(global::Serverless.Catalog.Model), typeof(global::Serverless.Inference.Gguf.GgufFile), typeof(global::Serverless.Hosting.Tokens.GgufTokenCounter), typeof(global::Serverless.Gateway.GatewayHost), typeof(global::Serverless.Worker.WorkerHost), typeof(global::Serverless.Scaler.Embedded.LocalScalerOptions), typeof(global::Serverless.Cli.Embedded.EmbeddedHost) };
        var needy = assemblies.SelectMany(type => type.Assembly.GetTypes())
            .Where(type => type.IsClass && type.GetMethod("<Clone>$") is null && !type.IsDefined(typeof(System.Runtime.CompilerServices.CompilerGeneratedAttribute), false)) // records are data
            .SelectMany(type => type.GetConstructors(System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic))
            .Where(constructor => constructor.GetParameters().Length > MostParameters)
            .Select(constructor => $"{constructor.DeclaringType!.FullName} {constructor.GetParameters().Length}");

        needy.ShouldBeEmpty();
    }

    private static bool Reaches(SortedDictionary<string, SortedSet<string>> uses, string from, string target, HashSet<string> seen) =>
        uses.TryGetValue(from, out var next) && next.Any(room => room == target || (seen.Add(room) && Reaches(uses, room, target, seen)));

    private static string ProjectName(string path) => Path.GetFileNameWithoutExtension(path.Replace('\\', '/'));

    private static IEnumerable<string> Projects() =>
        new[] { "src", "scalers", "samples" }.SelectMany(folder => Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.csproj", SearchOption.AllDirectories));

    private static IEnumerable<string> Sources(string folder) =>
        Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories).Where(file => !file.Contains("/obj/", StringComparison.Ordinal));

    private static IEnumerable<string> Usings(string file, string prefix) =>
        UsingLine().Matches(File.ReadAllText(file)).Select(match => match.Groups[1].Value)
            .Where(used => used == "Serverless" || used.StartsWith("Serverless.", StringComparison.Ordinal))
            .Where(used => used.StartsWith(prefix, StringComparison.Ordinal));

    [GeneratedRegex(@"^using (?:static )?(?:\w+ = )?([\w.]+);", RegexOptions.Multiline, 1000)]
    private static partial Regex UsingLine();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline, 1000)]
    private static partial Regex NamespaceLine();
}
