using Serverless.Hosting.Loading;
using Shouldly;

namespace Serverless.FunctionalTests.Loading;

/// <summary>The cache of a machine: one pull for all who ask, room made by what is unused, faults of its disk in words.</summary>
public sealed class ModelCacheTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Five stores over one folder are as five processes: each has its own files and locks.</summary>
    [Fact]
    public async Task Twenty_who_ask_at_once_share_one_download()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/m.gguf", 1_000_000);
        var source = scene.Web("/m.gguf");
        var stores = Enumerable.Range(0, 5).Select(_ => scene.Store()).ToList();

        var held = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(() => LoadingScene.HoldAsync(stores[i % 5], source), Token)));

        foreach (var model in held) File.ReadAllBytes(model.Path).ShouldBe(bytes);
        scene.Server.Sent.ShouldBeLessThanOrEqualTo(bytes.Length + 5); // and the first byte, by which the file is listed
        foreach (var model in held) model.Dispose();
    }

    [Fact]
    public async Task A_pull_goes_on_as_long_as_one_waits_for_it()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/m.gguf", 300_000);
        var (asked, go) = (Signal(), Signal());
        scene.Server.Before = async http =>
        {
            asked.TrySetResult();
            await go.Task.WaitAsync(http.RequestAborted);
            return false;
        };
        var store = scene.Store();
        using var leaving = new CancellationTokenSource();
        var first = store.HoldAsync(scene.Web("/m.gguf"), new Progress<double>(), leaving.Token);
        await asked.Task.WithinLimitAsync();
        var second = store.HoldAsync(scene.Web("/m.gguf"), new Progress<double>(), Token);

        await leaving.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => first.WithinLimitAsync());
        go.SetResult();

        using var held = await second.WithinLimitAsync();
        File.ReadAllBytes(held.Path).ShouldBe(bytes);
    }

    [Fact]
    public async Task The_model_unused_for_longest_makes_room_and_one_in_use_never()
    {
        await using var scene = await LoadingScene.StartAsync();
        var store = scene.Store(options => options.MaxBytes = 250_000);
        foreach (var (name, seed) in new[] { ("/a.gguf", 1), ("/b.gguf", 2), ("/c.gguf", 3), ("/d.gguf", 4) }) scene.Server.Add(name, 100_000, seed);
        using var a = await LoadingScene.HoldAsync(store, scene.Web("/a.gguf"));
        (await LoadingScene.HoldAsync(store, scene.Web("/b.gguf"))).Dispose();

        var c = await LoadingScene.HoldAsync(store, scene.Web("/c.gguf")); // b goes, though a is older

        store.Cache.List().Select(entry => entry.Record.Source[^6..]).ShouldBe(["a.gguf", "c.gguf"], ignoreOrder: true);
        Directory.GetFiles(Path.Combine(scene.Folder, "blobs")).Length.ShouldBe(2);
        var message = await LoadingScene.FailsAsync(scene.Store(options => options.MaxBytes = 250_000), scene.Web("/d.gguf"));
        message.ShouldContain("needs 100,000 bytes");
        message.ShouldContain("Models:MaxBytes");

        c.Dispose();
        using var d = await LoadingScene.HoldAsync(store, scene.Web("/d.gguf"));
        File.Exists(a.Path).ShouldBeTrue();
        store.Cache.Find(scene.Web("/c.gguf")).ShouldBeNull();
    }

    [Fact]
    public async Task A_full_disk_is_told_before_the_first_byte()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 300_000);

        var message = await LoadingScene.FailsAsync(scene.Store(freeBytes: _ => 100_000), scene.Web("/m.gguf"));

        message.ShouldContain("needs 300,000 bytes more on the disk");
        message.ShouldContain("which has 100,000");
        scene.Server.Sent.ShouldBe(1);
        scene.NothingHalf();
    }

    /// <summary>The system says so in the midst of it: here by a size that no disk has.</summary>
    [Fact]
    public async Task A_disk_that_is_full_after_all_is_told_and_nothing_half_is_left()
    {
        await using var scene = await LoadingScene.StartAsync();
        var length = 1L << 43;
        scene.Server.Before = http =>
        {
            http.Response.StatusCode = 206;
            http.Response.Headers.ContentRange = $"bytes 0-0/{length}";
            http.Response.Headers.ETag = "\"x\"";
            http.Response.ContentLength = 0;
            return Task.FromResult(true);
        };

        (await LoadingScene.FailsAsync(scene.Store(freeBytes: _ => long.MaxValue), scene.Web("/m.gguf"))).ShouldContain("its disk is full");
        scene.NothingHalf();
    }

    [Fact]
    public async Task A_cache_that_cannot_be_written_is_told()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 1000);

        (await LoadingScene.FailsAsync(scene.Store(options => options.Directory = "/proc/serverless-models"), scene.Web("/m.gguf"))).ShouldContain("cannot be written");
    }

    [Fact]
    public async Task What_lies_in_the_cache_is_served_without_its_source()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/m.gguf", 100_000);
        var source = scene.Web("/m.gguf");
        (await LoadingScene.HoldAsync(scene.Store(), source)).Dispose();
        scene.Server.Before = http =>
        {
            http.Response.StatusCode = 500;
            return Task.FromResult(true);
        };

        using var held = await LoadingScene.HoldAsync(scene.Store(), source);

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
    }

    [Fact]
    public async Task A_damaged_file_is_pulled_anew()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/m.gguf", 100_000);
        var source = scene.Web("/m.gguf");
        (await LoadingScene.HoldAsync(scene.Store(), source)).Dispose();
        var blob = Directory.GetFiles(Path.Combine(scene.Folder, "blobs")).Single();
        File.WriteAllBytes(blob, bytes[..50_000]); // cut short: seen at once

        using (var held = await LoadingScene.HoldAsync(scene.Store(), source)) File.ReadAllBytes(held.Path).ShouldBe(bytes);
        var rotten = bytes.ToArray();
        rotten[5]++;
        File.WriteAllBytes(blob, rotten); // of the same length: seen by whoever reads it all
        using var library = ModelLibrary.Open(scene.Folder);
        (await library.VerifyAsync(library.Models.Single(), Token)).ShouldBe([new DamagedFile("m.gguf", IsHeld: false)]);

        using var again = await LoadingScene.HoldAsync(scene.Store(), source);
        File.ReadAllBytes(again.Path).ShouldBe(bytes);
        (await library.VerifyAsync(library.Models.Single(), Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_pull_that_is_asked_for_takes_what_is_new_and_leaves_what_is_held()
    {
        await using var scene = await LoadingScene.StartAsync();
        var before = scene.Server.Add("/m.gguf", 100_000);
        var (store, source) = (scene.Store(), scene.Web("/m.gguf"));
        var old = await LoadingScene.HoldAsync(store, source);
        await store.PullAsync(source, new Progress<double>(), Token).WithinLimitAsync();
        scene.Server.Sent.ShouldBe(100_002); // nothing changed: its first byte alone
        var after = scene.Server.Add("/m.gguf", 120_000, seed: 2);

        await store.PullAsync(source, new Progress<double>(), Token).WithinLimitAsync();

        using var held = await LoadingScene.HoldAsync(store, source);
        File.ReadAllBytes(held.Path).ShouldBe(after);
        File.ReadAllBytes(old.Path).ShouldBe(before);
        old.Dispose();
        await store.PullAsync(source, new Progress<double>(), Token).WithinLimitAsync();
        Directory.GetFiles(Path.Combine(scene.Folder, "blobs")).Length.ShouldBe(1);
    }

    [Fact]
    public async Task What_is_in_use_is_not_removed()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 1000);
        var held = await LoadingScene.HoldAsync(scene.Store(), scene.Web("/m.gguf"));
        using var library = ModelLibrary.Open(scene.Folder);
        var model = library.Find(scene.Web("/m.gguf").Text).Single();

        (await library.RemoveAsync(model, Token)).ShouldBeFalse();
        held.Dispose();
        (await library.RemoveAsync(model, Token)).ShouldBeTrue();

        library.Models.ShouldBeEmpty();
        Directory.GetFileSystemEntries(Path.Combine(scene.Folder, "blobs")).ShouldBeEmpty();
        Directory.GetFileSystemEntries(Path.Combine(scene.Folder, "snapshots")).ShouldBeEmpty();
    }

    [Fact]
    public async Task Progress_is_told_to_all_who_wait()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 1_000_000);
        var (one, other) = (new Told(), new Told());
        var store = scene.Store();

        var both = Task.WhenAll(store.HoldAsync(scene.Web("/m.gguf"), one, Token), store.HoldAsync(scene.Web("/m.gguf"), other, Token));

        foreach (var held in await both.WithinLimitAsync()) held.Dispose();
        one.Last.ShouldBe(1);
        other.Last.ShouldBe(1);
    }

    private static TaskCompletionSource Signal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed class Told : IProgress<double>
    {
        private double _last;

        public double Last => Volatile.Read(ref _last);

        public void Report(double value) => Volatile.Write(ref _last, value);
    }
}
