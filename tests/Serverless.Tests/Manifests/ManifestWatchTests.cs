using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Serverless.Catalog;
using Serverless.Hosting.Manifests;
using Serverless.Loops;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Manifests;

/// <summary>Manifests that change under a running process.</summary>
public sealed class ManifestWatchTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("manifests-");
    private readonly FakeLogger<ManifestWatch> _log = new();
    private readonly TestClock _time = new();
    private readonly FileCatalogSource _source;
    private readonly ManifestWatch _watch;

    public ManifestWatchTests()
    {
        Write("a.yaml", Served("a"));
        _source = new FileCatalogSource(_folder.FullName, TestEngines.Table);
        _watch = new ManifestWatch(_source, new Supervisor(_time, NoLoopObserver.Instance), _time, _log);
    }

    public void Dispose()
    {
        _watch.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void A_model_that_comes_is_served_once_two_looks_agree_and_the_others_are_the_same_objects()
    {
        var first = _source.Current.Models.Single();
        Write("b.yaml", Served("b"));

        _watch.Look();
        _source.Current.Models.ShouldHaveSingleItem();
        _watch.Look();

        _source.Current.Models.Select(model => model.Name.Value).ShouldBe(["a", "b"]);
        _source.Current.Models[0].ShouldBeSameAs(first);
        Lines().ShouldBe([$"The manifests in {_folder.FullName} changed. new: b"]);
    }

    [Fact]
    public void A_change_says_which_pools_roll_and_bounds_roll_none()
    {
        Write("a.yaml", Served("a", "slots: 3"));
        Settle();
        Write("a.yaml", Served("a", "slots: 3", maxReplicas: 7));
        Settle();
        Write("a.yaml", Served("a", "slots: 3, pricePerHour: 2", maxReplicas: 7));
        Settle();

        Lines().Select(line => line.Split(". ")[1]).ShouldBe(["changed: a (replicas of a-simulated are replaced)", "changed: a (no replica is replaced)", "changed: a (no replica is replaced)"]);
        _source.Current.Models.Single().Scaling.MaxReplicas.ShouldBe(7);
    }

    [Fact]
    public void Files_that_say_the_same_in_other_words_change_nothing()
    {
        var before = _source.Current;
        Write("a.yaml", "# a comment\n" + Served("a"));
        Settle();

        _source.Current.ShouldBeSameAs(before);
        Lines().ShouldBeEmpty();
    }

    [Fact]
    public void A_faulty_change_keeps_what_there_is_and_is_told_in_one_line_as_is_its_mending()
    {
        var before = _source.Current;
        Write("b.yaml", Served("b", "slots: many"));
        Settle();
        Settle();

        _source.Current.ShouldBeSameAs(before);
        var line = Lines().ShouldHaveSingleItem();
        line.ShouldContain("what was served before stays");
        line.ShouldContain(Path.Combine(_folder.FullName, "b.yaml") + ":");
        line.ShouldContain("params");
        line.ShouldContain("'slots' the value 'many'");
        line.ShouldContain("must be a whole number from 1 to 4096");
        line.ShouldNotContain("\n");
        _log.LatestRecord.Level.ShouldBe(LogLevel.Error);

        Write("b.yaml", Served("b", "slots: 4"));
        Settle();
        Lines()[1..].ShouldBe([$"The manifests in {_folder.FullName} are in order again.", $"The manifests in {_folder.FullName} changed. new: b"]);
    }

    [Fact]
    public void A_half_written_file_is_no_change()
    {
        var before = _source.Current;
        var whole = Served("b");
        Write("b.yaml", whole[..(whole.Length / 2)]);
        _watch.Look();
        Write("b.yaml", whole[..(whole.Length - 5)]);
        _watch.Look();
        Write("b.yaml", whole);
        _watch.Look();
        _source.Current.ShouldBeSameAs(before);
        _watch.Look();

        _source.Current.Models.Count.ShouldBe(2);
        Lines().ShouldHaveSingleItem().ShouldContain("new: b");
    }

    [Fact]
    public void A_model_that_goes_is_told_and_an_empty_folder_is_a_fault()
    {
        Write("b.yaml", Served("b"));
        Settle();
        File.Delete(Path.Combine(_folder.FullName, "b.yaml"));
        for (var second = 0; second <= 5; second++)
        {
            _source.Current.Models.Count.ShouldBe(2); // a model is gone when five seconds have seen it gone
            _watch.Look();
        }

        Lines()[^1].ShouldEndWith("changed. gone: b");

        File.Delete(Path.Combine(_folder.FullName, "a.yaml"));
        Settle();

        _source.Current.Models.ShouldHaveSingleItem();
        Lines()[^1].ShouldContain("holds no *.yaml");
    }

    [Fact]
    public void A_writer_that_pauses_between_two_documents_takes_no_model_out_of_service()
    {
        Write("all.yaml", Served("b") + "\n---\n" + Served("c"));
        Settle();
        var before = _source.Current;

        Write("all.yaml", Served("b"));
        for (var second = 0; second < 4; second++) _watch.Look();
        Write("all.yaml", Served("b") + "\n---\n" + Served("c"));
        for (var second = 0; second < 20; second++) _watch.Look();

        _source.Current.ShouldBeSameAs(before);
        Lines().ShouldHaveSingleItem().ShouldContain("new: b, c");
    }

    [Theory]
    [InlineData("an empty file", "is empty")]
    [InlineData("a pipe", "is empty")]
    [InlineData("a link to a pipe", "is empty")]
    [InlineData("a link to nothing", "is a link to what is not there")]
    [InlineData("links in a circle", "cannot be read")]
    public void What_cannot_be_seen_is_a_fault_and_never_taken_for_not_there(string what, string fault)
    {
        var (before, path) = (_source.Current, Path.Combine(_folder.FullName, "b.yaml"));
        switch (what)
        {
            case "an empty file": Write("a.yaml", ""); break;
            case "a pipe": MakePipe(path); break;
            case "a link to a pipe":
                MakePipe(Path.Combine(_folder.FullName, "pipe"));
                File.CreateSymbolicLink(path, Path.Combine(_folder.FullName, "pipe"));
                break;
            case "a link to nothing": File.CreateSymbolicLink(Path.Combine(_folder.FullName, "team"), Path.Combine(_folder.FullName, "unmounted")); break;
            default: File.CreateSymbolicLink(path, path); break;
        }

        for (var second = 0; second < 20; second++) _watch.Look();

        _source.Current.ShouldBeSameAs(before);
        Lines().ShouldHaveSingleItem().ShouldContain(fault);
        Should.Throw<CatalogException>(() => new FileCatalogSource(_folder.FullName, TestEngines.Table)).Message.ShouldContain(fault);
    }

    [Fact]
    public void A_file_that_is_written_all_the_time_holds_back_no_other_and_is_read_when_it_rests()
    {
        Write("c.yaml", Served("c"));
        for (var second = 0; second < 30; second++)
        {
            Write("restless.yaml", Served("restless") + new string('\n', second));
            if (second == 5) Write("b.yaml", Served("b"));
            _watch.Look();
        }

        _source.Current.Models.Select(model => model.Name.Value).ShouldBe(["a", "b", "c"]);
        Lines().Count(line => line.Contains("restless.yaml changes all the time", StringComparison.Ordinal)).ShouldBe(1);
        Settle();
        _source.Current.Models.Select(model => model.Name.Value).ShouldBe(["a", "b", "c", "restless"]);
    }

    [Fact]
    public void A_model_file_behind_a_link_is_followed_to_its_end()
    {
        var path = Path.Combine(_folder.FullName, "own.gguf");
        File.WriteAllBytes(path + ".1", TinyModel.Build().File);
        File.CreateSymbolicLink(path, path + ".1");
        var seen = ModelFile.Of(path);

        File.SetLastWriteTimeUtc(path + ".1", new DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc));

        ModelFile.Of(path).ShouldNotBe(seen);
        (seen.Exists, seen.Length).ShouldBe((true, new FileInfo(path + ".1").Length));
    }

    [Fact]
    public void A_model_file_that_comes_late_or_is_replaced_is_seen_though_no_manifest_changed()
    {
        var path = Path.Combine(_folder.FullName, "own.gguf");
        Write("own.yaml", $$$"""
            apiVersion: llmaz.io/v1alpha1
            kind: OpenModel
            metadata: {name: own}
            spec: {familyName: f, source: {uri: "host://./own.gguf"}}
            ---
            {{{ManifestText.Playground("own")}}}
            """);
        Settle();
        Lines().ShouldHaveSingleItem().ShouldContain(path);

        File.WriteAllBytes(path, TinyModel.Build().File);
        Settle();
        var first = _source.Current.Find(new ModelName("own")).ShouldNotBeNull();

        File.SetLastWriteTimeUtc(path, new DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        Settle();

        var second = _source.Current.Find(new ModelName("own")).ShouldNotBeNull();
        second.Pools[0].RunsAs(first.Pools[0]).ShouldBeFalse();
        Lines()[^1].ShouldEndWith("changed: own (replicas of own-cpu are replaced)");
    }

    [Fact]
    public async Task It_looks_each_second()
    {
        await _watch.StartAsync(TestContext.Current.CancellationToken);
        await using var seen = _source.WatchAsync(TestContext.Current.CancellationToken).Enumerate(TestContext.Current.CancellationToken);
        await seen.MoveNextAsync();
        var next = seen.MoveNextAsync().AsTask();
        Write("b.yaml", Served("b"));

        await _time.PassUntilAsync(next);

        seen.Current.Models.Count.ShouldBe(2);
        await _watch.StopAsync(CancellationToken.None);
    }

    private static string Served(string model, string parameters = "", int maxReplicas = 2) => $$"""
        {{ManifestText.Simulated(model, parameters.Length == 0 ? "" : $"inferenceConfig: {{flavors: [{{name: simulated, params: {{{parameters}}}}}]}}")}}
        ---
        {{ManifestText.Playground(model, $"elasticConfig: {{minReplicas: 0, maxReplicas: {maxReplicas}}}")}}
        """;

    private static void MakePipe(string path)
    {
        using var make = System.Diagnostics.Process.Start("mkfifo", [path]);
        make.WaitForExit();
        make.ExitCode.ShouldBe(0);
    }

    private string[] Lines() => [.. _log.Collector.GetSnapshot().Select(record => record.Message)];

    /// <summary>Two looks.</summary>
    private void Settle()
    {
        _watch.Look();
        _watch.Look();
    }

    private void Write(string path, string text) => File.WriteAllText(Path.Combine(_folder.FullName, path), text);
}
