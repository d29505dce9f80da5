using System.Text;
using CsCheck;
using Serverless.Catalog.Manifests;
using Serverless.Hosting.Manifests;
using Shouldly;

namespace Serverless.Tests.Manifests;

public sealed class YamlManifestsTests
{
    /// <summary>What means something to YAML.</summary>
    private const string Punctuation = "\0\t\n:[]{}&*!|>'\"-#%@`,?~";

    [Fact]
    public void Documents_become_objects_with_the_lines_of_their_fields()
    {
        var manifests = Read("# head\na: 1\nb:\n  c: [x, {d: 2.5}]\n---\n---\ne: null\n");

        manifests.Select(manifest => manifest.Content.ToJsonString()).ShouldBe(["""{"a":1,"b":{"c":["x",{"d":2.5}]}}""", """{"e":null}"""]);
        manifests[0].Lines["b.c[1].d"].ShouldBe(4);
        manifests[1].Document.ShouldBe(3);
    }

    [Theory]
    [InlineData("yes", "\"yes\"")]
    [InlineData("\"4090\"", "\"4090\"")]
    [InlineData("4090", "4090")]
    [InlineData("True", "true")]
    [InlineData("1e3", "1e3")]
    [InlineData("72225e2", "72225e2")]
    [InlineData("-0.50", "-0.50")]
    [InlineData("007", "\"007\"")]
    [InlineData("+5", "\"\\u002B5\"")]
    [InlineData("5.", "\"5.\"")]
    [InlineData("5.e1", "\"5.e1\"")]
    [InlineData("1e", "\"1e\"")]
    [InlineData("1.2.3", "\"1.2.3\"")]
    [InlineData("...", "\"...\"")]
    [InlineData(".inf", "\".inf\"")]
    [InlineData("!!str 5", "\"5\"")]
    [InlineData("", "null")]
    public void Scalars_follow_the_core_schema(string yaml, string json)
    {
        Read($"a: {yaml}").Single().Content.ToJsonString().ShouldBe($"{{\"a\":{json}}}");
    }

    [Fact]
    public void A_list_as_kubectl_writes_it_is_its_items_with_their_own_lines()
    {
        var manifests = Read("apiVersion: v1\nitems:\n- apiVersion: llmaz.io/v1alpha1\n  kind: OpenModel\n  metadata: {name: a}\n- kind: Playground\n  spec:\n    replicas: 2\nkind: List\nmetadata: {resourceVersion: \"\"}\n");

        manifests.Select(manifest => (string?)manifest.Content["kind"]).ShouldBe(["OpenModel", "Playground"]);
        manifests[1].Lines["spec.replicas"].ShouldBe(8);
        Read("kind: OpenModelList\napiVersion: llmaz.io/v1alpha1\nitems: [{metadata: {name: a}}]").Single().Content.ToJsonString()
            .ShouldBe("""{"metadata":{"name":"a"},"kind":"OpenModel","apiVersion":"llmaz.io/v1alpha1"}""");
    }

    [Theory]
    [InlineData("kind: List\nitems: 5", 2, "must be a list")]
    [InlineData("kind: List\nitems: [5]", 2, "must be an object")]
    [InlineData("kind: List\nitems:\n- {kind: List, items: []}", 3, "list in a list")]
    public void A_list_of_anything_else_is_refused(string yaml, int line, string message)
    {
        var fault = Fault(yaml);

        fault.Line.ShouldBe(line);
        fault.Message.ShouldContain(message);
    }

    [Fact]
    public void An_alias_is_a_copy() => Read("a: &x {b: 1}\nc: *x").Single().Content.ToJsonString().ShouldBe("""{"a":{"b":1},"c":{"b":1}}""");

    [Fact]
    public void A_bomb_of_aliases_is_refused()
    {
        var bomb = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 12; i++) bomb.Append($"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n");

        Fault(bomb.ToString()).Message.ShouldContain("50000 values");
    }

    [Theory]
    [InlineData("a: 1\nb: 2\na: 3", 3, "is given twice")]
    [InlineData("a:\n\tb: 1", 1, "invalid tab")]
    [InlineData("a: [1", 2, "is no YAML")]
    [InlineData("- a\n- b", 1, "must be an object")]
    [InlineData("just text", 1, "must be an object")]
    [InlineData("? [a]\n: b", 1, "key that is no text")]
    [InlineData("a: !!binary aGk=", 1, "is a tag")]
    [InlineData("a: *nobody", 1, "alias of nothing")]
    [InlineData("a: &a [*a]", 1, "alias of nothing")]
    public void Broken_YAML_is_an_error_with_its_line(string yaml, int line, string message)
    {
        var fault = Fault(yaml);

        fault.Line.ShouldBe(line);
        fault.Message.ShouldContain(message);
    }

    [Fact]
    public void Deep_nesting_is_refused() => Fault("a: " + new string('[', 100_000)).Message.ShouldContain("deeper than 32");

    [Fact]
    public void A_long_file_is_refused() => Fault("a: " + new string('x', YamlManifests.MaxBytes)).Message.ShouldContain("1048576 are allowed");

    [Fact]
    public void Bytes_that_are_no_text_are_refused()
    {
        var errors = new List<CatalogFinding>();

        YamlManifests.Read("x.yaml", [0x61, 0x3A, 0x20, 0xFF], errors).ShouldBeEmpty();

        errors.Single().Message.ShouldContain("not UTF-8");
    }

    [Fact]
    public void Any_damage_to_a_manifest_gives_a_reading_or_errors_and_never_throws()
    {
        var whole = Encoding.UTF8.GetBytes(ManifestText.Seed + "\n---\n" + ManifestText.SeedElastic);
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.OneOf(Gen.Byte, Gen.Int[0, Punctuation.Length - 1].Select(i => (byte)Punctuation[i])), Gen.Int[0, whole.Length]).Sample(
            (at, value, length) =>
            {
                var damaged = (byte[])whole.Clone();
                damaged[at] = value;
                var errors = new List<CatalogFinding>();
                var reading = new CatalogReader(TestEngines.Table, new FakeInspector()).Read(YamlManifests.Read("x.yaml", damaged.AsSpan(0, length), errors));
                return reading.Catalog is null == reading.Errors.Count > 0;
            },
            iter: 2000);
    }

    private static IReadOnlyList<Manifest> Read(string yaml)
    {
        var errors = new List<CatalogFinding>();
        var manifests = YamlManifests.Read("x.yaml", Encoding.UTF8.GetBytes(yaml), errors);
        errors.ShouldBeEmpty();
        return manifests;
    }

    private static CatalogFinding Fault(string yaml)
    {
        var errors = new List<CatalogFinding>();
        YamlManifests.Read("x.yaml", Encoding.UTF8.GetBytes(yaml), errors);
        return errors.Single();
    }
}
