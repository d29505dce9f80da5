using System.Text.Json;
using Serverless.Catalog;
using Serverless.Hosting.Loading;
using Shouldly;

namespace Serverless.FunctionalTests.Loading;

/// <summary>Room for what nobody announced, what a killed pull leaves, records that somebody wrote by hand, damaged bytes in use.</summary>
public sealed class CacheRoomTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The quota holds while it comes, and the models that are unused go for it, as for any other.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_of_unknown_length_is_bounded_as_it_comes(bool fits)
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/a.gguf", 1_000_000, seed: 2);
        var bytes = scene.Server.Add("/m.gguf", 6_000_000);
        scene.Server.Files["/m.gguf"] = new ServedFile(bytes) { HasRanges = false, IsChunked = true };
        var store = scene.Store(options => options.MaxBytes = fits ? 6_500_000 : 3_000_000);
        (await LoadingScene.HoldAsync(store, scene.Web("/a.gguf"))).Dispose();

        if (fits)
        {
            using var held = await LoadingScene.HoldAsync(store, scene.Web("/m.gguf"));
            File.ReadAllBytes(held.Path).ShouldBe(bytes);
            store.Cache.Find(scene.Web("/a.gguf")).ShouldBeNull();
            return;
        }

        (await LoadingScene.FailsAsync(store, scene.Web("/m.gguf"))).ShouldContain("Models:MaxBytes");
        store.Cache.Find(scene.Web("/m.gguf")).ShouldBeNull();
        new DirectoryInfo(Path.Combine(scene.Folder, "parts")).GetFiles().Sum(file => file.Length).ShouldBe(0);
        scene.NothingHalf();
    }

    /// <summary>Its hub tells no size, the server does: room is made before the first byte is kept.</summary>
    [Fact]
    public async Task A_file_whose_server_alone_tells_its_length_is_within_the_quota()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/org/name/resolve/c0ffee/m.gguf", 600_000);
        scene.Server.Documents["/api/models/org/name/revision/main"] = """{"sha": "c0ffee", "siblings": [{"rfilename": "m.gguf"}]}""";

        (await LoadingScene.FailsAsync(scene.Store(options => options.MaxBytes = 300_000), ModelUri.Parse("hf://org/name/m.gguf", out _)!)).ShouldContain("Models:MaxBytes");
    }

    /// <summary>A part has its room on the disk from its beginning on: it is not asked for twice.</summary>
    [Fact]
    public async Task What_broke_off_goes_on_though_the_disk_has_no_room_but_its_own()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/m.gguf", 1_000_000);
        scene.Server.BreaksAfter = static (_, length) => length > 1 ? length / 2 : null;
        await LoadingScene.FailsAsync(scene.Store(options => (options.MaxFailures, options.SegmentBytes) = (1, 1 << 20)), scene.Web("/m.gguf"));
        scene.Server.BreaksAfter = static (_, _) => null;

        using var held = await LoadingScene.HoldAsync(scene.Store(freeBytes: _ => 10_000), scene.Web("/m.gguf"));

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
    }

    /// <summary>Whoever can write the folder of the cache is not to have another's <c>models rm</c> delete what lies beside it.</summary>
    [Theory]
    [InlineData("../../victim", "part-1")]
    [InlineData("x", "../../victim/file")]
    [InlineData(null, "part-1")]
    [InlineData("x", null)]
    public async Task A_record_that_leads_out_of_the_cache_is_none(string? snapshot, string? blob)
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 1000);
        var store = scene.Store(options => options.MaxBytes = 1500);
        store.Cache.Prepare();
        var victim = Directory.CreateDirectory(Path.Combine(scene.Folder, "..", "victim"));
        var file = Path.Combine(victim.FullName, "file");
        await File.WriteAllBytesAsync(file, new byte[1000], Token);
        await File.WriteAllTextAsync(store.Cache.RecordPath("evil"), JsonSerializer.Serialize(new { Version = 1, Source = "https://evil", Snapshot = snapshot, IsWhole = true, Files = new[] { new { Name = "m.gguf", Size = 1000, Blob = blob, Identity = "x" } } }), Token);

        using var library = ModelLibrary.Open(scene.Folder);
        foreach (var model in library.Models)
        {
            await library.VerifyAsync(model, Token);
            await library.RemoveAsync(model, Token);
        }

        (await LoadingScene.HoldAsync(store, scene.Web("/m.gguf"))).Dispose();

        library.Models.Select(model => model.Source).ShouldBe([scene.Web("/m.gguf").Text]);
        File.Exists(file).ShouldBeTrue();
    }

    /// <summary>Killed between two steps: what it made on the side goes with the next that makes room.</summary>
    [Fact]
    public async Task What_a_killed_process_left_on_the_side_is_swept()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 1000);
        var store = scene.Store();
        store.Cache.Prepare();
        Directory.CreateDirectory(store.Cache.In("parts", "key-coming-0123"));
        File.CreateSymbolicLink(store.Cache.In("parts", "key-coming-0123", "m.gguf"), "../../blobs/none");
        await File.WriteAllTextAsync(store.Cache.In("parts", "key-0123.record"), "{", Token);
        await File.WriteAllTextAsync(store.Cache.In("parts", "0123"), "half", Token);

        (await LoadingScene.HoldAsync(store, scene.Web("/m.gguf"))).Dispose();

        Directory.GetFileSystemEntries(store.Cache.In("parts")).ShouldBeEmpty();
    }

    /// <summary>Two addresses that differ behind the question mark, with one ETag: parts of one are no parts of the other.</summary>
    [Fact]
    public async Task Files_that_a_query_tells_apart_are_not_mixed()
    {
        await using var scene = await LoadingScene.StartAsync();
        var (a, b) = (scene.Server.Add("/m.gguf", 1_000_000), scene.Server.Add("/m.gguf", 1_000_000, seed: 2));
        scene.Server.Files["/m.gguf"] = new ServedFile(a) { ETag = "\"1\"" };
        scene.Server.BreaksAfter = static (_, length) => length > 1 ? length / 2 : null;
        await LoadingScene.FailsAsync(scene.Store(options => (options.MaxFailures, options.SegmentBytes) = (1, 1 << 20)), scene.Web("/m.gguf?file=a"));
        scene.Server.BreaksAfter = static (_, _) => null;
        scene.Server.Files["/m.gguf"] = new ServedFile(b) { ETag = "\"1\"" };

        using var held = await LoadingScene.HoldAsync(scene.Store(), scene.Web("/m.gguf?file=b"));

        File.ReadAllBytes(held.Path).ShouldBe(b);
    }

    /// <summary>An address may be signed: neither the cache's own notes nor what is told of a fault has the signature.</summary>
    [Fact]
    public async Task What_stands_behind_the_question_mark_is_told_to_nobody()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 1000);
        var source = scene.Web("/m.gguf?signature=s3cret");
        (await LoadingScene.HoldAsync(scene.Store(), source)).Dispose();
        using var library = ModelLibrary.Open(scene.Folder);

        foreach (var file in Directory.GetFiles(Path.Combine(scene.Folder, "models"))) (await File.ReadAllTextAsync(file, Token)).ShouldNotContain("s3cret");
        library.Models.Single().Source.ShouldBe(scene.Server.At("/m.gguf") + "?…");
        library.Find(source.Text).ShouldBe(library.Models);
        foreach (var status in new[] { 404, 503 })
        {
            scene.Server.Before = http =>
            {
                http.Response.StatusCode = status;
                return Task.FromResult(true);
            };
            (await LoadingScene.FailsAsync(scene.Store(options => options.MaxFailures = 1), scene.Web("/other.gguf?signature=s3cret"))).ShouldNotContain("s3cret");
        }
    }

    /// <summary>Who runs on damaged bytes keeps its path; who comes next has them anew; and it is said.</summary>
    [Fact]
    public async Task A_damaged_file_in_use_stays_where_it_is_and_the_next_load_has_it_anew()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/m.gguf", 100_000);
        var (store, source) = (scene.Store(), scene.Web("/m.gguf"));
        using var running = await LoadingScene.HoldAsync(store, source);
        var rotten = bytes.ToArray();
        rotten[5]++;
        await using (var blob = new FileStream(Directory.GetFiles(store.Cache.In("blobs")).Single(), FileMode.Open)) await blob.WriteAsync(rotten, Token);
        using var mapped = System.IO.MemoryMappedFiles.MemoryMappedFile.CreateFromFile(running.Path, FileMode.Open, null, 0, System.IO.MemoryMappedFiles.MemoryMappedFileAccess.Read);
        using var library = ModelLibrary.Open(scene.Folder);

        var damaged = await library.VerifyAsync(library.Models.Single(), Token);

        damaged.ShouldBe([new DamagedFile("m.gguf", IsHeld: true)]);
        File.ReadAllBytes(running.Path).ShouldBe(rotten);
        using var anew = await LoadingScene.HoldAsync(scene.Store(), source);
        File.ReadAllBytes(anew.Path).ShouldBe(bytes);
        using var view = mapped.CreateViewAccessor(0, 10, System.IO.MemoryMappedFiles.MemoryMappedFileAccess.Read);
        view.ReadByte(5).ShouldBe(rotten[5]);
        (await library.VerifyAsync(library.Models.Single(), Token)).ShouldBeEmpty();
        scene.NothingHalf(bytes);
    }

    /// <summary>A cache that can only be read, as far as one who may do anything sees it: no folder of it takes a new file.</summary>
    [Fact]
    public async Task What_lies_in_a_cache_that_takes_nothing_is_served_and_a_pull_is_told()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/m.gguf", 100_000);
        scene.Server.Add("/other.gguf", 1000);
        (await LoadingScene.HoldAsync(scene.Store(), scene.Web("/m.gguf"))).Dispose();
        Directory.Delete(Path.Combine(scene.Folder, "parts"), recursive: true);
        await File.WriteAllTextAsync(Path.Combine(scene.Folder, "parts"), "", Token);
        var store = scene.Store();

        using var held = await LoadingScene.HoldAsync(store, scene.Web("/m.gguf"));
        var message = await LoadingScene.FailsAsync(store, scene.Web("/other.gguf"));

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
        message.ShouldContain("cannot be written");
        message.ShouldContain("What is in it already is served");
    }
}
