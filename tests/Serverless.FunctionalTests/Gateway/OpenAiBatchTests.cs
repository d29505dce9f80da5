#pragma warning disable OPENAI001 // batches are "for evaluation purposes" in OpenAI's library, whatever its version
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Files;
using Shouldly;
using static Serverless.FunctionalTests.Gateway.BatchScene;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A whole batch by OpenAI's own .NET library, as it comes from NuGet.</summary>
public sealed class OpenAiBatchTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OpenAIs_library_uploads_creates_polls_and_downloads()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var client = new OpenAIClient(new ApiKeyCredential(FilesUnderTest.Acme.Item2["Bearer ".Length..]), new OpenAIClientOptions
        {
            Endpoint = new Uri(files.Gateway.Client.BaseAddress!, "/v1"),
            Transport = new HttpClientPipelineTransport(new HttpClient(new SocketsHttpHandler { UseProxy = false })),
        });
        var fileClient = client.GetOpenAIFileClient();
        await using var requests = new MemoryStream(Encoding.UTF8.GetBytes($"{Line("a")}\r\n{Line("b", "absent")}\r\n{Line("c")}\r\n"));

        OpenAIFile input = await fileClient.UploadFileAsync(requests, "requests.jsonl", FileUploadPurpose.Batch, Token);
        using var body = BinaryContent.Create(BinaryData.FromObjectAsJson(new { input_file_id = input.Id, endpoint = "/v1/chat/completions", completion_window = "24h", metadata = new { run = "7" } }));
        var operation = await client.GetBatchClient().CreateBatchAsync(body, waitUntilCompleted: false);
        await AnswerAsync(files);
        await AnswerAsync(files);
        await operation.WaitForCompletionAsync(Token).AsTask().WithinLimitAsync();
        var ended = JsonOf(await operation.GetBatchAsync(null));
        BinaryData answers = await fileClient.DownloadFileAsync(ended["output_file_id"]!.GetValue<string>(), Token);
        BinaryData faults = await fileClient.DownloadFileAsync(ended["error_file_id"]!.GetValue<string>(), Token);

        operation.HasCompleted.ShouldBeTrue();
        (ended["status"]!.GetValue<string>(), ended["metadata"]!["run"]!.GetValue<string>(), Counts(ended)).ShouldBe(("completed", "7", """{"total":3,"completed":2,"failed":1}"""));
        NamesIn(answers).Order().ShouldBe(["a", "c"]);
        NamesIn(faults).ShouldBe(["b"]);
        (await fileClient.DeleteFileAsync(input.Id, Token)).Value.Deleted.ShouldBeTrue();
    }

    [Fact]
    public async Task OpenAIs_library_cancels_one()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var client = new OpenAIClient(new ApiKeyCredential(FilesUnderTest.Acme.Item2["Bearer ".Length..]), new OpenAIClientOptions
        {
            Endpoint = new Uri(files.Gateway.Client.BaseAddress!, "/v1"),
            Transport = new HttpClientPipelineTransport(new HttpClient(new SocketsHttpHandler { UseProxy = false })),
        });
        OpenAIFile input = await client.GetOpenAIFileClient().UploadFileAsync(BinaryData.FromString(Line("a")), "requests.jsonl", FileUploadPurpose.Batch);
        using var body = BinaryContent.Create(BinaryData.FromObjectAsJson(new { input_file_id = input.Id, endpoint = "/v1/chat/completions", completion_window = "24h" }));
        var operation = await client.GetBatchClient().CreateBatchAsync(body, waitUntilCompleted: false);
        await files.Gateway.TakeAsync();

        JsonOf(await operation.CancelAsync(null))["status"]!.GetValue<string>().ShouldBe("cancelling");
        await operation.WaitForCompletionAsync(Token).AsTask().WithinLimitAsync();

        JsonOf(await operation.GetBatchAsync(null))["status"]!.GetValue<string>().ShouldBe("cancelled");
    }

    private static JsonObject JsonOf(ClientResult result) => JsonNode.Parse(result.GetRawResponse().Content)!.AsObject();

    private static IEnumerable<string> NamesIn(BinaryData lines) => lines.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!["custom_id"]!.GetValue<string>());
}
