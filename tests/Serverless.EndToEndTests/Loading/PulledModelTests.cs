using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Serverless.EndToEndTests.Parts;
using Serverless.FunctionalTests.Loading;
using Shouldly;

namespace Serverless.EndToEndTests.Loading;

/// <summary>The tool as a process of its own, or two, over a real cache: a model is pulled and answers, processes share a download, a killed one leaves its turn, a disk that can only be read serves.</summary>
public sealed class PulledModelTests : IDisposable
{
    private const string ModelFile = "SmolLM2-135M-Instruct.Q4_1.gguf";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-pulled-");

    private string Cache => Path.Combine(_folder.FullName, "cache");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_model_of_the_web_is_pulled_and_answers()
    {
        await using var web = await ModelServer.StartAsync();
        web.Files["/model.gguf"] = new ServedFile(await File.ReadAllBytesAsync(Path.Combine(Checkout.Root, "models/smollm2-135m-instruct", ModelFile), Token));
        await using var up = await UpServer.StartModelAsync(web.At("/model.gguf").ToString(), Token);
        using var http = new HttpClient { BaseAddress = up.Address, Timeout = TestTimeouts.Start };
        var models = await http.GetFromJsonAsync<JsonElement>("/v1/models", Token);
        var model = models.GetProperty("data")[0].GetProperty("id").GetString();

        using var response = await http.PostAsJsonAsync("/v1/chat/completions", new { model, max_tokens = 8, temperature = 0, messages = new[] { new { role = "user", content = "What is the capital of France? Answer in one word." } } }, Token);

        var text = await response.Content.ReadAsStringAsync(Token);
        response.IsSuccessStatusCode.ShouldBeTrue(customMessage: text + up.Process.Output);
        text.ShouldContain("Paris");
    }

    /// <summary>Two processes that want one model at once have it by one download; where the first is killed in its midst the other takes its turn.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Two_processes_share_a_download(bool isKilled)
    {
        await using var web = await ModelServer.StartAsync();
        var bytes = web.Add("/m.gguf", 3_000_000);
        var (begun, go) = (Signal(), Signal());
        web.Before = async http =>
        {
            if (http.Request.Headers.Range == "bytes=0-0") return false;
            begun.TrySetResult();
            await go.Task.WaitAsync(http.RequestAborted);
            return false;
        };
        await using var first = Tool("pull", web.At("/m.gguf").ToString());
        await begun.Task.WithinLimitAsync();
        await using var second = Tool("pull", web.At("/m.gguf").ToString());
        await second.ReadyAsync(async token => (await File.ReadAllTextAsync($"/proc/{second.Id}/maps", token)).Contains("AWSSDK.S3", StringComparison.Ordinal), Token); // it has its hubs, and wants its turn next

        if (isKilled) await first.SignalAsync("KILL");
        go.SetResult();
        await first.ExitedAsync(Token).WithinLimitAsync();
        await second.ExitedAsync(Token).WithinLimitAsync();

        var path = second.Output.Split('\n').Select(line => line.Trim()).Single(line => line.StartsWith(_folder.FullName, StringComparison.Ordinal));
        File.ReadAllBytes(path).ShouldBe(bytes);
        if (!isKilled)
        {
            first.Output.ShouldContain(path);
            web.Sent.ShouldBe(bytes.Length + 2); // and each asks for the first byte, to see whether it is still that file
        }

        Directory.GetFileSystemEntries(Path.Combine(Cache, "parts")).ShouldBeEmpty();
    }

    [Fact]
    public async Task What_lies_on_a_disk_that_can_only_be_read_is_served_and_a_pull_is_told()
    {
        await using var web = await ModelServer.StartAsync();
        web.Add("/m.gguf", 100_000);
        web.Add("/other.gguf", 1000);
        await using (var pull = Tool("pull", web.At("/m.gguf").ToString())) await pull.ExitedAsync(Token).WithinLimitAsync();
        var probe = Process.Start(new ProcessStartInfo("unshare", ["-rm", "true"]) { UseShellExecute = false, RedirectStandardError = true });
        await probe!.WaitForExitAsync(Token);
        Assert.SkipWhen(probe.ExitCode != 0, "Folders cannot be mounted here (unshare -rm).");

        await using var verify = ReadOnly("verify");
        await verify.ExitedAsync(Token).WithinLimitAsync();
        await using var other = ReadOnly("pull", web.At("/other.gguf").ToString());
        await other.ExitedAsync(Token).WithinLimitAsync();
        await using var remove = ReadOnly("rm", web.At("/m.gguf").ToString());
        await remove.ExitedAsync(Token).WithinLimitAsync();

        verify.Output.ShouldContain("is whole");
        other.Output.ShouldContain("cannot be written");
        remove.Output.ShouldContain("cannot be written");
    }

    private static TaskCompletionSource Signal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private PartProcess Tool(params string[] arguments) => PartProcess.Start("serverless models", "dotnet", [UpServer.Program, "models", .. arguments, "--cache", Cache]);

    /// <summary>The same where its cache's folder is mounted to be read alone.</summary>
    private PartProcess ReadOnly(params string[] arguments) =>
        PartProcess.Start("serverless models", "unshare", ["-rm", "sh", "-c", "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && exec \"$@\"", Cache, "dotnet", UpServer.Program, "models", .. arguments, "--cache", Cache]);
}
