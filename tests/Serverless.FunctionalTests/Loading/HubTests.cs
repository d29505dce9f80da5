using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CsCheck;
using Serverless.Catalog;
using Serverless.Engines;
using Shouldly;

namespace Serverless.FunctionalTests.Loading;

/// <summary>Listings of hubs, as they are and as a stranger may make them.</summary>
public sealed class HubTests
{
    private static ModelSource Source(string uri) => ModelUri.Parse(uri, out _).ShouldNotBeNull();

    [Fact]
    public async Task A_repository_of_Hugging_Face_comes_with_what_an_engine_reads_and_is_checked()
    {
        await using var scene = await LoadingScene.StartAsync();
        var weights = scene.Server.Add("/org/name/resolve/c0ffee/model.safetensors", 200_000);
        var config = scene.Server.Add("/org/name/resolve/c0ffee/config.json", 700, 2);
        Repository(
            scene, "/api/models/org/name/revision/v1.0",
            new { rfilename = "model.safetensors", size = 200_000, blobId = "x", lfs = new { sha256 = Sha256(weights), size = 200_000, pointerSize = 134 } },
            new { rfilename = "config.json", size = 700, blobId = GitSha1(config) },
            new { rfilename = "pytorch_model.bin", size = 200_000, blobId = "y" },
            new { rfilename = "onnx/model.safetensors", size = 9, blobId = "z" });

        using var held = await LoadingScene.HoldAsync(scene.Store(), Source("hf://org/name@v1.0"));

        Directory.GetFiles(held.Path).Select(Path.GetFileName).Order().ShouldBe(["config.json", "model.safetensors"]);
        File.ReadAllBytes(Path.Combine(held.Path, "model.safetensors")).ShouldBe(weights);
        File.ReadAllBytes(Path.Combine(held.Path, "config.json")).ShouldBe(config);
    }

    [Fact]
    public async Task Patterns_choose_and_leave_out()
    {
        await using var scene = await LoadingScene.StartAsync();
        foreach (var name in new[] { "a.bin", "b.bin", "sub/c.bin" }) scene.Server.Add($"/org/name/resolve/c0ffee/{name}", 10);
        Repository(scene, "/api/models/org/name/revision/main", new { rfilename = "a.bin", size = 10 }, new { rfilename = "b.bin", size = 10 }, new { rfilename = "sub/c.bin", size = 10 });

        using var held = await LoadingScene.HoldAsync(scene.Store(), Source("hf://org/name") with { Allow = "*.bin", Ignore = "b*" });

        Directory.GetFiles(held.Path, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(held.Path, path)).Order().ShouldBe(["a.bin", "sub/c.bin"]);
    }

    [Fact]
    public async Task A_small_file_that_git_keeps_is_checked_by_its_blob()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/org/name/resolve/c0ffee/m.gguf", 10);
        Repository(scene, "/api/models/org/name/revision/main", new { rfilename = "m.gguf", size = 10, blobId = new string('a', 40) });

        (await LoadingScene.FailsAsync(scene.Store(), Source("hf://org/name/m.gguf"))).ShouldContain("git blob");
    }

    [Fact]
    public async Task Parts_of_a_model_come_together_and_the_first_is_named()
    {
        await using var scene = await LoadingScene.StartAsync();
        var names = new[] { "q4/m-00001-of-00002.gguf", "q4/m-00002-of-00002.gguf", "m-q8.gguf" };
        foreach (var name in names) scene.Server.Add($"/org/name/resolve/c0ffee/{name}", 10);
        Repository(scene, "/api/models/org/name/revision/main", [.. names.Select(name => new { rfilename = name, size = 10 })]);

        using var held = await LoadingScene.HoldAsync(scene.Store(), Source("hf://org/name/q4/m-00001-of-00002.gguf"));

        held.Path.ShouldEndWith("/q4/m-00001-of-00002.gguf");
        File.Exists(held.Path.Replace("00001-of", "00002-of", StringComparison.Ordinal)).ShouldBeTrue();
        (await LoadingScene.FailsAsync(scene.Store(), Source("hf://org/name"))).ShouldContain("several models; name one of");
        (await LoadingScene.FailsAsync(scene.Store(), Source("hf://org/name/nope.gguf"))).ShouldContain("there is no file 'nope.gguf'; there are q4/m-00001");
    }

    [Fact]
    public async Task ModelScope_and_Ollama_are_asked_in_their_own_ways()
    {
        await using var scene = await LoadingScene.StartAsync();
        var bytes = scene.Server.Add("/models/org/name/resolve/master/m.gguf", 1000);
        scene.Server.Documents["/api/v1/models/org/name/repo/files"] = JsonSerializer.Serialize(new
        {
            Code = 200,
            Data = new { Files = new object[] { new { Path = "dir", Type = "tree", Size = 0 }, new { Path = "m.gguf", Type = "blob", Size = 1000, Sha256 = Sha256(bytes) } } },
        });
        var layer = scene.Server.Add($"/v2/library/tiny/blobs/sha256:{Sha256(bytes)}", 1000);
        scene.Server.Documents["/v2/library/tiny/manifests/0.5b"] = JsonSerializer.Serialize(new
        {
            schemaVersion = 2,
            layers = new object[] { new { mediaType = "application/vnd.ollama.image.license", digest = "sha256:x", size = 1 }, new { mediaType = "application/vnd.ollama.image.model", digest = $"sha256:{Sha256(bytes)}", size = 1000 } },
        });

        using var scope = await LoadingScene.HoldAsync(scene.Store(), Source("modelscope://org/name/m.gguf"));
        using var ollama = await LoadingScene.HoldAsync(scene.Store(), Source("ollama://tiny:0.5b"));

        File.ReadAllBytes(scope.Path).ShouldBe(bytes);
        File.ReadAllBytes(ollama.Path).ShouldBe(layer);
        Directory.GetFiles(Path.Combine(scene.Folder, "blobs")).Length.ShouldBe(1); // the same bytes lie there once
        scene.Server.Sent.ShouldBe(1000);
    }

    [Theory]
    [InlineData("../../etc/cron.d/evil")]
    [InlineData("/etc/passwd")]
    [InlineData("a/../../b")]
    [InlineData("a//b")]
    [InlineData("a\\..\\b")]
    [InlineData("C:evil")]
    [InlineData("a\nb")]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢漢")] // 300 bytes, which no disk takes
    public async Task A_name_that_leads_out_of_its_folder_is_refused(string name)
    {
        await using var scene = await LoadingScene.StartAsync();
        Repository(scene, "/api/models/org/name/revision/main", new { rfilename = name, size = 10 });

        (await LoadingScene.FailsAsync(scene.Store(), Source("hf://org/name"))).ShouldContain("lists a file");
    }

    [Theory]
    [InlineData("""{"sha": "c", "siblings": [{"rfilename": "a", "size": -1}]}""", "bytes")]
    [InlineData("""{"sha": "c", "siblings": [{"rfilename": "a", "size": 9000000000000000}]}""", "are allowed")]
    [InlineData("""{"sha": "c", "siblings": [{"rfilename": "a"}, {"rfilename": "A"}]}""", "twice")]
    [InlineData("""{"sha": "c", "siblings": [{"rfilename": "a"}, {"rfilename": "a/b"}]}""", "as a file and as a folder")]
    [InlineData("""{"sha": "c", "siblings": [{"rfilename": "a", "lfs": {"sha256": "../x"}}]}""", "no SHA-256")]
    [InlineData("""{"sha": "c"}""", "no list 'siblings'")]
    [InlineData("""{"siblings": []}""", "without 'sha'")]
    [InlineData("<html>", "answers no JSON")]
    public async Task A_listing_of_what_no_model_has_is_refused(string listing, string said)
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Documents["/api/models/org/name/revision/main"] = listing;

        (await LoadingScene.FailsAsync(scene.Store(), Source("hf://org/name"))).ShouldContain(said);
    }

    /// <summary>Bytes of a listing are changed at random: it is read, or refused in words, and nothing lies beside the cache.</summary>
    [Fact]
    public async Task A_listing_that_was_tampered_with_is_read_or_refused()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Add("/org/name/resolve/c0ffee/m.gguf", 10);
        var listing = Encoding.UTF8.GetBytes("""{"sha": "c0ffee", "siblings": [{"rfilename": "m.gguf", "size": 10, "lfs": null}, {"rfilename": "sub/../x", "size": 1e3}]}""");
        await Gen.Select(Gen.Int[0, listing.Length - 1], Gen.Byte).Array[1, 6].SampleAsync(
            async changes =>
            {
                var bytes = listing.ToArray();
                foreach (var (at, value) in changes) bytes[at] = value;
                scene.Server.Before = async http =>
                {
                    if (!http.Request.Path.StartsWithSegments("/api", StringComparison.Ordinal)) return false;
                    await http.Response.Body.WriteAsync(bytes, http.RequestAborted);
                    return true;
                };
                try
                {
                    (await LoadingScene.HoldAsync(scene.Store(options => options.MaxFailures = 1), Source("hf://org/name/m.gguf"))).Dispose();
                }
                catch (ModelPullException)
                {
                }

                Directory.GetFileSystemEntries(Path.GetDirectoryName(scene.Folder)!).ShouldBe([scene.Folder]);
                return true;
            },
            iter: 100,
            threads: 1);
    }

    /// <summary>A hub that answers with a page of a screen's commands is told of without them.</summary>
    [Fact]
    public async Task What_a_hub_says_is_told_as_text()
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Documents["/api/v1/models/org/name/repo/files"] = JsonSerializer.Serialize(new { Code = 10010, Message = "\u001b[2Jno such model" + new string('x', 100_000) });

        var message = await LoadingScene.FailsAsync(scene.Store(), Source("modelscope://org/name"));

        message.ShouldContain("no such model");
        message.ShouldNotContain('\u001b');
        message.Length.ShouldBeLessThan(400);
    }

    /// <summary>Half a character is no name, wherever it stands.</summary>
    [Theory]
    [InlineData("""{"sha": "\ud800", "siblings": []}""")]
    [InlineData("""{"sha": "c", "siblings": [{"rfilename": "\ud800"}]}""")]
    [InlineData("""{"\ud800": 1, "sha": "c", "siblings": [{"rfilename": "\ud800"}]}""")]
    public async Task A_listing_that_is_no_Unicode_is_refused(string listing)
    {
        await using var scene = await LoadingScene.StartAsync();
        scene.Server.Documents["/api/models/org/name/revision/main"] = listing;

        (await LoadingScene.FailsAsync(scene.Store(), Source("hf://org/name"))).ShouldContain("hf://org/name");
    }

    private static void Repository(LoadingScene scene, string path, params object[] siblings) => scene.Server.Documents[path] = JsonSerializer.Serialize(new { sha = "c0ffee", siblings });

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

#pragma warning disable CA5350 // git's names
    private static string GitSha1(byte[] bytes) => Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));
#pragma warning restore CA5350
}
