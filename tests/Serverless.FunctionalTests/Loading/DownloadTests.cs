using System.Collections.Concurrent;
using CsCheck;
using Serverless.Catalog;
using Shouldly;

namespace Serverless.FunctionalTests.Loading;

/// <summary>One file from a server that misbehaves over real sockets: the right bytes or a clear error, and never a half file.</summary>
public sealed class DownloadTests
{
    private const string File1 = "/m.gguf";

    [Theory]
    [InlineData(0, true, false)]
    [InlineData(1, true, false)]
    [InlineData(65_536, true, false)]
    [InlineData(65_537, true, false)]
    [InlineData(1_000_003, true, false)]
    [InlineData(0, false, false)]
    [InlineData(1_000_003, false, false)]
    [InlineData(1_000_003, false, true)]
    public async Task A_file_comes_whole_with_ranges_and_without(int length, bool hasRanges, bool isChunked)
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add(File1, length);
        scene.Server.Files[File1] = scene.Server.Files[File1] with { HasRanges = hasRanges, IsChunked = isChunked };

        using var held = await LoadingScene.HoldAsync(scene.Store(), scene.Web(File1));

        held.Path.ShouldEndWith("/m.gguf");
        File.ReadAllBytes(held.Path).ShouldBe(bytes);
        scene.NothingHalf(bytes);
    }

    /// <summary>Each answer breaks off somewhere, or not.</summary>
    [Fact]
    public async Task Wherever_connections_break_the_bytes_are_right()
    {
        await using var scene = await LoadingScene.StartAsync();
        await Gen.Select(Gen.Int[1, 400_000], Gen.Int, Gen.Int[2_000, 100_000]).SampleAsync(
            async (length, seed, longest) =>
            {
                var path = $"/{Guid.NewGuid():N}.gguf";
                var bytes = scene.Server.Add(path, length, seed);
                var random = new Random(seed);
                scene.Server.BreaksAfter = (_, whole) =>
                {
                    lock (random) return random.Next(2) == 0 ? null : random.Next(1_500, longest);
                };

                using var held = await LoadingScene.HoldAsync(scene.Store(options => options.MaxFailures = 50), scene.Web(path));

                return File.ReadAllBytes(held.Path).AsSpan().SequenceEqual(bytes);
            },
            iter: 40,
            threads: 1);
    }

    [Fact]
    public async Task What_broke_off_for_good_goes_on_where_it_was()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add(File1, 2_000_000);
        var asked = 0;
        scene.Server.BreaksAfter = (_, _) => Interlocked.Increment(ref asked) > 12 ? 0 : null;

        var message = await LoadingScene.FailsAsync(scene.Store(), scene.Web(File1));

        message.ShouldContain("failed 8 times in a row");
        message.ShouldContain("the next pull goes on");
        scene.NothingHalf();
        var before = scene.Server.Sent;
        scene.Server.BreaksAfter = static (_, _) => null;
        using var held = await LoadingScene.HoldAsync(scene.Store(), scene.Web(File1));
        File.ReadAllBytes(held.Path).ShouldBe(bytes);
        before.ShouldBeGreaterThan(500_000);
        scene.Server.Sent.ShouldBeLessThan(bytes.Length + 200_000); // the first byte is asked for again, and no range that was there
    }

    [Fact]
    public async Task What_breaks_on_all_connections_at_once_is_one_failure()
    {
        const int connections = 8, cuts = 5;
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add(File1, 2_000_000);
        var asked = -2;
        var waiting = Enumerable.Range(0, cuts).Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).ToArray();
        scene.Server.Before = async http =>
        {
            var number = Interlocked.Increment(ref asked) - 1; // the first two say what it is, and how long
            if (number < 0 || number >= connections * cuts) return false;
            if (number % connections == connections - 1) waiting[number / connections].SetResult();
            await waiting[number / connections].Task;
            http.Abort();
            return true;
        };

        using var held = await LoadingScene.HoldAsync(scene.Store(options => (options.Connections, options.MaxFailures) = (connections, cuts + 1)), scene.Web(File1));

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
    }

    [Fact]
    public async Task Cancelled_while_connections_break_it_says_that_it_was_cancelled()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add(File1, 2_000_000);
        using var stop = new CancellationTokenSource();
        var asked = 0;
        scene.Server.Before = async http =>
        {
            if (Interlocked.Increment(ref asked) < 4) return false;
            await stop.CancelAsync();
            http.Abort();
            return true;
        };
        var store = scene.Store();

        await Should.ThrowAsync<OperationCanceledException>(() => store.HoldAsync(scene.Web(File1), new Progress<double>(), stop.Token).WithinLimitAsync());
        scene.NothingHalf();
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    [InlineData(500)]
    [InlineData(408)]
    public async Task A_busy_server_is_asked_again(int status)
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add(File1, 300_000);
        var asked = 0;
        scene.Server.Before = http =>
        {
            if (Interlocked.Increment(ref asked) % 2 == 0) return Task.FromResult(false);
            http.Response.StatusCode = status;
            http.Response.Headers.RetryAfter = "0";
            return Task.FromResult(true);
        };

        using var held = await LoadingScene.HoldAsync(scene.Store(), scene.Web(File1));

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
    }

    [Theory]
    [InlineData(401, "token")]
    [InlineData(404, "no such model")]
    [InlineData(400, "answers 400")]
    [InlineData(503, "asked 8 times")]
    public async Task What_helps_never_is_told(int status, string said)
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Before = http =>
        {
            http.Response.StatusCode = status;
            return Task.FromResult(true);
        };

        (await LoadingScene.FailsAsync(scene.Store(), scene.Web(File1))).ShouldContain(said);
        scene.Server.Requests.Count.ShouldBe(status == 503 ? 8 : 1);
    }

    [Fact]
    public async Task A_file_that_changes_midway_begins_anew()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add(File1, 1_000_000);
        var after = new byte[900_000];
        Array.Fill(after, (byte)7);
        var asked = 0;
        scene.Server.Before = _ =>
        {
            if (Interlocked.Increment(ref asked) == 5) scene.Server.Files[File1] = new ServedFile(after);
            return Task.FromResult(false);
        };

        // Its listing was of the file before: it is told, and the next pull lists anew.
        var store = scene.Store(options => options.Connections = 1);
        (await LoadingScene.FailsAsync(store, scene.Web(File1))).ShouldContain("its listing says 1000000");
        using var held = await LoadingScene.HoldAsync(store, scene.Web(File1));

        File.ReadAllBytes(held.Path).ShouldBe(after);
        scene.NothingHalf(after);
    }

    /// <summary>Of the same length, and on a server that ignores If-Range: only the ETag tells.</summary>
    [Fact]
    public async Task Bytes_of_two_files_of_one_name_are_never_mixed()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add(File1, 1_000_000);
        var asked = 0;
        byte[] after = [];
        scene.Server.Before = http =>
        {
            http.Request.Headers.IfRange = default;
            if (Interlocked.Increment(ref asked) == 5) after = scene.Server.Add(File1, 1_000_000, seed: 2);
            return Task.FromResult(false);
        };

        using var held = await LoadingScene.HoldAsync(scene.Store(options => options.Connections = 1), scene.Web(File1));

        File.ReadAllBytes(held.Path).ShouldBe(after);
    }

    [Fact]
    public async Task A_file_that_never_rests_is_given_up()
    {
        await using var scene = await LoadingScene.StartAsync();
        var seed = 1;
        scene.Server.Before = _ =>
        {
            scene.Server.Add(File1, 1_000_000, Interlocked.Increment(ref seed));
            return Task.FromResult(false);
        };

        (await LoadingScene.FailsAsync(scene.Store(), scene.Web(File1))).ShouldContain("changes while it is pulled");
        scene.NothingHalf();
    }

    [Theory]
    [InlineData("bytes 1-65536/300000", "answers the range")]
    [InlineData("bytes 0-65535/99999999999999999", "are allowed")]
    [InlineData("pages 0-65535/300000", "answers the range")]
    public async Task A_server_that_lies_about_ranges_is_refused(string lie, string said)
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add(File1, 300_000);
        scene.Server.Files[File1] = scene.Server.Files[File1] with { Lies = lie };

        (await LoadingScene.FailsAsync(scene.Store(), scene.Web(File1))).ShouldContain(said);
        scene.NothingHalf();
    }

    [Fact]
    public async Task Wrong_bytes_are_refused_by_their_checksum()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add(File1, 300_000);
        var source = ModelUri.Parse($"{scene.Server.At(File1)}#sha256={new string('a', 64)}", out _)!;

        var message = await LoadingScene.FailsAsync(scene.Store(), source);

        message.ShouldContain("Its SHA-256 is", Case.Insensitive);
        message.ShouldContain("Nothing of it is kept");
        scene.NothingHalf();
        Directory.GetFiles(Path.Combine(scene.Folder, "parts"), "*", SearchOption.AllDirectories).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_page_is_no_model()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Files[File1] = new ServedFile("<html>log in</html>"u8.ToArray()) { ContentType = "text/html; charset=utf-8" };

        (await LoadingScene.FailsAsync(scene.Store(), scene.Web(File1))).ShouldContain("answers a page");
    }

    [Fact]
    public async Task A_silent_connection_is_broken_off_and_made_anew()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add(File1, 300_000);
        var asked = 0;
        scene.Server.Before = async http =>
        {
            if (Interlocked.Increment(ref asked) != 3) return false;
            await new TaskCompletionSource().Task.WaitAsync(http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return true;
        };

        using var held = await LoadingScene.HoldAsync(scene.Store(options => options.Timeout = TimeSpan.FromMilliseconds(500)), scene.Web(File1));

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
    }

    /// <summary>As Hugging Face leads to its store: with a signature that ages, and without the token.</summary>
    [Fact]
    public async Task A_redirect_is_followed_without_the_token_and_again_once_its_signature_aged()
    {
        await using var scene = await LoadingScene.StartAsync();
        await using var store = await ModelServer.StartAsync();
        var bytes = store.Add("/blob", 500_000);
        var sha = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes));
        scene.Server.Documents["/api/models/org/name/revision/main"] = $$$"""{"sha": "c0ffee", "siblings": [{"rfilename": "m.gguf", "size": 500000, "lfs": {"sha256": "{{{sha}}}", "size": 500000}}]}""";
        var signature = 0;
        scene.Server.Before = http =>
        {
            if (http.Request.Path != "/org/name/resolve/c0ffee/m.gguf") return Task.FromResult(false);
            http.Response.Redirect($"{store.At("/blob")}?signature={signature}");
            return Task.FromResult(true);
        };
        var used = new ConcurrentDictionary<string, int>();
        store.Before = http =>
        {
            var mine = http.Request.Query["signature"].ToString();
            if (mine == signature.ToString(System.Globalization.CultureInfo.InvariantCulture) && used.AddOrUpdate(mine, 1, (_, times) => times + 1) <= 3) return Task.FromResult(false);
            if (mine == signature.ToString(System.Globalization.CultureInfo.InvariantCulture)) signature++;
            http.Response.StatusCode = 403;
            return Task.FromResult(true);
        };

        using var held = await LoadingScene.HoldAsync(scene.Store(options => (options.HuggingFace.Token, options.Connections) = ("hf_secret", 1)), ModelUri.Parse("hf://org/name/m.gguf", out _)!);

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
        scene.Server.Requests.ShouldAllBe(request => request.Authorization == "Bearer hf_secret");
        store.Requests.ShouldAllBe(request => request.Authorization == "");
        used.Count.ShouldBeGreaterThan(1);
    }

    /// <summary>As Hugging Face leads from a name that a repository had to the one it has, and to its cache of small files: on the same server, which wants the token there too.</summary>
    [Fact]
    public async Task A_redirect_on_the_same_server_takes_the_token_along_and_one_to_another_never()
    {
        await using var scene = await LoadingScene.StartAsync();
        await using var elsewhere = await ModelServer.StartAsync();
        var bytes = scene.Server.Add("/api/resolve-cache/m.gguf", 300_000);
        scene.Server.Documents["/api/models/new/name/revision/main"] = """{"sha": "c0ffee", "siblings": [{"rfilename": "m.gguf", "size": 300000}]}""";
        elsewhere.Before = http =>
        {
            http.Response.Redirect(scene.Server.At("/api/resolve-cache/m.gguf").ToString());
            return Task.FromResult(true);
        };
        scene.Server.Before = http =>
        {
            var path = http.Request.Path.Value!;
            if (path.StartsWith("/api/models/old", StringComparison.Ordinal)) http.Response.Redirect("/api/models/new/name/revision/main?blobs=true");
            else if (path.StartsWith("/old/name", StringComparison.Ordinal)) http.Response.Redirect(elsewhere.At("/around").ToString());
            else if (http.Request.Headers.Authorization != "Bearer hf_secret") http.Response.StatusCode = 401;
            else return Task.FromResult(false);
            return Task.FromResult(true);
        };

        using var held = await LoadingScene.HoldAsync(scene.Store(options => options.HuggingFace.Token = "hf_secret"), ModelUri.Parse("hf://old/name/m.gguf", out _)!);

        File.ReadAllBytes(held.Path).ShouldBe(bytes);
        elsewhere.Requests.ShouldNotBeEmpty();
        elsewhere.Requests.ShouldAllBe(request => request.Authorization == "");
    }

    /// <summary>Nothing comes of a byte now and then: it is as if it said nothing.</summary>
    [Fact]
    public async Task A_server_that_drips_is_given_up()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/m.gguf", 300_000);
        scene.Server.Before = async http =>
        {
            if (http.Request.Headers.Range == "bytes=0-0") return false;
            http.Response.StatusCode = 206;
            http.Response.Headers.ContentRange = $"bytes {http.Request.Headers.Range.ToString()["bytes=".Length..]}/300000";
            http.Response.Headers.ETag = scene.Server.Files["/m.gguf"].ETag;
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            while (await timer.WaitForNextTickAsync(http.RequestAborted)) await http.Response.Body.WriteAsync(new byte[1], http.RequestAborted);
            return true;
        };

        (await LoadingScene.FailsAsync(scene.Store(options => (options.Timeout, options.MaxFailures, options.Connections) = (TimeSpan.FromMilliseconds(400), 2, 1)), scene.Web("/m.gguf"))).ShouldContain("0.4 s");
    }
}
