using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Catalog.Manifests;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.Redis.Catalog;
using Serverless.Hosting.Redis.Connection;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.EndToEndTests.Redis;

/// <summary>A publisher in one process, a source in another.</summary>
public sealed class RedisCatalogTests : CatalogSourceContract, IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("manifests-");
    private readonly List<IAsyncDisposable> _started = [];
    private RedisServer? _server;
    private RedisCatalogPublisher? _publisher;

    public async ValueTask DisposeAsync()
    {
        _publisher?.Dispose();
        foreach (var started in _started) await started.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_start_without_a_catalogue_says_what_is_missing()
    {
        var parts = await OpenAsync(options => options.StartTimeout = TimeSpan.FromSeconds(1));

        var thrown = await Should.ThrowAsync<InvalidOperationException>(parts.StartAsync(Source(parts), Token));

        thrown.Message.ShouldContain("serverless:catalog");
        thrown.Message.ShouldContain("nothing is published");
        thrown.Message.ShouldContain("KeyPrefix");
    }

    [Fact]
    public async Task A_document_that_is_none_keeps_the_last_good_catalogue()
    {
        var source = await CreateAsync(ModelOf("one"));
        var good = source.Current;
        var parts = await OpenAsync();
        await using var watch = source.WatchAsync(Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();
        var next = watch.MoveNextAsync().AsTask();

        foreach (var junk in new[] { "", "{", "null", "{}", """{"version":2,"files":[]}""", """{"version":1,"files":[{"path":"a.yaml","text":"kind: ["}]}""" })
        {
            await parts.Connection.RunAsync(database => database.StringSetAsync(parts.Connection.Keys.Catalog, junk), Token);
            await _server!.CommandAsync("PUBLISH serverless:catalog changed", Token);
        }

        source.Current.ShouldBeSameAs(good);
        await ChangeAsync(ModelOf("two"));
        (await next.WithinLimitAsync()).ShouldBeTrue();
        watch.Current.Models.Single().Name.Value.ShouldBe("two");
    }

    [Theory]
    [InlineData("spec:", "spec:\n  ofTomorrow: 1")]
    [InlineData("simulated://two", "tomorrow://two")]
    [InlineData("kind: OpenModel", "kind: [")]
    public async Task A_model_that_this_release_refuses_keeps_what_is_known_of_it_and_stops_no_other(string written, string ofTomorrow)
    {
        var source = await CreateAsync(ModelOf("one") + ModelOf("two"));
        var two = source.Current.Find(new ModelName("two"));
        await using var watch = source.WatchAsync(Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();

        await PublishUncheckedAsync(ModelOf("one"), ModelOf("three"), ModelOf("two").Replace(written, ofTomorrow, StringComparison.Ordinal));

        (await watch.MoveNextAsync().AsTask().WithinLimitAsync()).ShouldBeTrue();
        source.Current.Models.Select(model => model.Name.Value).ShouldBe(["one", "three", "two"]);
        source.Current.Find(new ModelName("two")).ShouldBeSameAs(two);

        var parts = await OpenAsync();
        var fresh = await parts.StartAsync(Source(parts), Token);
        fresh.Current.Models.Select(model => model.Name.Value).ShouldBe(["one", "three"]);
    }

    [Fact]
    public async Task What_has_not_settled_is_not_published_and_what_is_gone_only_when_two_more_looks_agree()
    {
        var source = await CreateAsync(ModelOf("one") + ModelOf("two"));
        await using var watch = source.WatchAsync(Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();
        string[][] settling = [["one"], ["one"], ["one", "two"], ["one", "two"], ["one", "two", "three"], ["one", "two", "three"]];
        string[][] going = [["three"], ["three"], ["three"]];

        await LookAsync(settling);
        (await watch.MoveNextAsync().AsTask().WithinLimitAsync()).ShouldBeTrue(); // a watch tells the newest: what came between two looks at it, it does not
        watch.Current.Models.Select(model => model.Name.Value).ShouldBe(["one", "three", "two"]);
        await LookAsync(going);
        (await watch.MoveNextAsync().AsTask().WithinLimitAsync()).ShouldBeTrue();
        source.Current.Models.Single().Name.Value.ShouldBe("three");

        async Task LookAsync(string[][] looks)
        {
            foreach (var models in looks)
            {
                await WriteAsync(string.Concat(models.Select(model => ModelOf(model))));
                await _publisher!.FollowAsync(Token);
            }
        }
    }

    [Fact]
    public async Task A_reader_needs_no_file_of_the_model_and_resolves_its_place_as_the_publisher_did()
    {
        var parts = await OpenAsync();
        await WriteAsync(ModelOf("one").Replace("simulated://one", "host://./one.gguf", StringComparison.Ordinal).Replace("backendName: simulated", "backendName: in-process", StringComparison.Ordinal));
        _publisher = new RedisCatalogPublisher(parts.Connection, _folder.FullName, TestEngines.Table, new Inspector(), parts.Loops, TimeProvider.System, NullLogger<RedisCatalogPublisher>.Instance);
        (await _publisher.PublishAsync(Token)).ShouldBeTrue();

        var source = await parts.StartAsync(Source(parts), Token);

        var model = source.Current.Models.Single();
        (model.ContextTokens, model.Source.Location).ShouldBe((4321, Path.Combine(_folder.FullName, "one.gguf")));
    }

    [Fact]
    public async Task A_catalogue_that_Redis_lost_is_published_again()
    {
        await CreateAsync(ModelOf("one"));
        await _server!.CommandAsync("DEL serverless:catalog", Token);

        (await _publisher!.PublishAsync(Token)).ShouldBeTrue();

        (await _server.CommandAsync("EXISTS serverless:catalog", Token)).ShouldBe(":1");
    }

    protected override async ValueTask<ICatalogSource> CreateAsync(string manifests)
    {
        var (publishing, reading) = (await OpenAsync(), await OpenAsync());
        _publisher = new RedisCatalogPublisher(publishing.Connection, _folder.FullName, TestEngines.Table, new Inspector(), publishing.Loops, TimeProvider.System, NullLogger<RedisCatalogPublisher>.Instance);
        await ChangeAsync(manifests);
        return await reading.StartAsync(Source(reading), Token);
    }

    protected override async ValueTask ChangeAsync(string manifests)
    {
        await WriteAsync(manifests);
        await _publisher!.PublishAsync(Token);
    }

    /// <summary>As a release publishes that knows more than this one, each text a file.</summary>
    private async Task PublishUncheckedAsync(params string[] texts)
    {
        var parts = await OpenAsync();
        var document = new CatalogDocument { Version = CatalogDocument.CurrentVersion, Files = [.. texts.Select((text, i) => new CatalogDocument.ManifestFile { Path = $"{i}.yaml", Text = text })] };
        var bytes = JsonSerializer.SerializeToUtf8Bytes(document, CatalogJson.Default.CatalogDocument);
        await parts.Connection.RunAsync(database => database.StringSetAsync(parts.Connection.Keys.Catalog, bytes), Token);
        await _server!.CommandAsync("PUBLISH serverless:catalog changed", Token);
    }

    private static RedisCatalogSource Source(RedisParts parts) => new(parts.Connection, TestEngines.Table, parts.Loops, TimeProvider.System, NullLogger<RedisCatalogSource>.Instance);

    private Task WriteAsync(string manifests) => File.WriteAllTextAsync(Path.Combine(_folder.FullName, "all.yaml"), manifests, Token);

    private async Task<RedisParts> OpenAsync(Action<RedisOptions>? configure = null)
    {
        Assert.SkipWhen(RedisServer.Absent is not null, RedisServer.Absent ?? "");
        _server ??= await RedisServer.StartNewAsync(Token);
        var parts = await RedisParts.OpenAsync(_server, Token, configure);
        _started.Insert(0, parts);
        return parts;
    }

    private sealed class Inspector : IModelInspector
    {
        public ModelFacts? Inspect(string path, out string? fault)
        {
            fault = null;
            return new ModelFacts(4321);
        }
    }
}
