using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>What tests of batches do over and over: make one, answer its lines, wait for what becomes of it.</summary>
internal static class BatchScene
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static string Line(string id, string model = GatewayUnderTest.ModelName) =>
        $$$"""{"custom_id":"{{{id}}}","method":"POST","url":"/v1/chat/completions","body":{"model":"{{{model}}}","messages":[{"role":"user","content":"{{{id}}}"}]}}""";

    /// <summary>As many as that, of the names n0, n1, …</summary>
    public static string[] Lines(int count) => [.. Enumerable.Range(0, count).Select(number => Line($"n{number}"))];

    public static Task<JsonObject> CreateAsync(FilesUnderTest files, params string[] lines) => CreateBytesAsync(files, Encoding.UTF8.GetBytes(string.Join('\n', lines)));

    public static async Task<JsonObject> CreateBytesAsync(FilesUnderTest files, byte[] input) => await PostAsync(files, await files.CreateAsync(input));

    public static async Task<JsonObject> PostAsync(FilesUnderTest files, JsonObject input, string window = "24h", (string, string)? owner = null)
    {
        var body = $$"""{"input_file_id":"{{input["id"]}}","endpoint":"/v1/chat/completions","completion_window":"{{window}}"}""";
        using var answer = await files.SendAsync(HttpMethod.Post, "/v1/batches", new StringContent(body, Encoding.UTF8, "application/json"), owner);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, await answer.Content.ReadAsStringAsync(Token));
        return await FilesUnderTest.JsonAsync(answer);
    }

    public static async Task<InferenceRequest> AnswerAsync(FilesUnderTest files) => await AnswerAsync(await files.Gateway.TakeAsync());

    public static async Task<InferenceRequest> AnswerAsync(HeldRequest held)
    {
        await held.BeginAsync();
        await held.SayAsync("yes", finish: FinishReason.Stop);
        await held.FinishAsync();
        return held.Request;
    }

    /// <summary>Answers whatever comes, until it is told to stop.</summary>
    public static async Task AnswerAllAsync(Backend backend, CancellationToken stop)
    {
        try
        {
            await foreach (var request in backend.Queue.Requests.ReadAllAsync(stop)) await AnswerAsync(new HeldRequest(request, backend.Log));
        }
        catch (OperationCanceledException)
        {
        }
    }

    public static async Task<HttpStatusCode> CancelAsync(FilesUnderTest files, JsonObject batch)
    {
        using var answer = await files.AskAsync(HttpMethod.Post, $"/v1/batches/{batch["id"]}/cancel");
        return answer.StatusCode;
    }

    /// <summary>The batch once it has that status.</summary>
    public static Task<JsonObject> UntilAsync(FilesUnderTest files, JsonObject batch, string status) => UntilAsync(files, batch, now => now["status"]!.GetValue<string>() == status);

    /// <summary>The batch once that is so.</summary>
    public static async Task<JsonObject> UntilAsync(FilesUnderTest files, JsonObject batch, Func<JsonObject, bool> isSo)
    {
        JsonObject now = batch;
        await UntilAsync(async () => isSo(now = await files.GetAsync($"/v1/batches/{batch["id"]}")));
        return now;
    }

    public static Task OnDiskAsync(FilesUnderTest files, int count) => UntilAsync(() => Task.FromResult(files.OnDisk.Count == count));

    /// <summary>Until that is so.</summary>
    public static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        while (!await isSo()) await pace.WaitForNextTickAsync(limit.Token);
    }

    public static async Task<List<JsonObject>> LinesAsync(FilesUnderTest files, JsonNode? id)
    {
        if (id is null) return [];
        using var content = await files.AskAsync(HttpMethod.Get, $"/v1/files/{id}/content");
        return [.. (await content.Content.ReadAsStringAsync(Token)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject())];
    }

    /// <summary>The names in one of its files.</summary>
    public static async Task<string[]> NamesAsync(FilesUnderTest files, JsonNode? id) => [.. (await LinesAsync(files, id)).Select(line => line["custom_id"]!.GetValue<string>())];

    public static string Counts(JsonObject batch) => batch["request_counts"]!.ToJsonString();
}
