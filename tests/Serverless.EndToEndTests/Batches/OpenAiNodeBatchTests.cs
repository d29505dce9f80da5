using System.Text.Json.Nodes;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Batches;

/// <summary>A whole batch by OpenAI's own library for Node.js, as it comes from npm (<c>batch.cjs</c>). By the one for .NET: <c>OpenAiBatchTests</c>.</summary>
public sealed class OpenAiNodeBatchTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OpenAIs_library_for_node_uploads_creates_polls_downloads_cancels_and_lists()
    {
        Assert.SkipWhen(OpenAiNode.Absent is not null, OpenAiNode.Absent ?? "");
        await using var server = await UpServer.StartNewAsync([UpServer.Simulated("quick", tokensPerSecond: 10_000), UpServer.Simulated("slow", tokensPerSecond: 1)], Token);

        var seen = JsonNode.Parse(await OpenAiNode.RunAsync("Batches/batch.cjs", new Uri(server.Address, "/v1"), Token)).ShouldNotBeNull();

        string Of(string name) => seen[name].ShouldNotBeNull(seen.ToJsonString()).ToJsonString();
        Of("created").ShouldBe("""["batch","validating",true]""");
        Of("ended").ShouldBe("""["completed","7",{"total":3,"completed":2,"failed":1}]""");
        Of("answers").ShouldBe("""["a","c"]""");
        Of("tokens").ShouldBe("[4,4]");
        Of("faults").ShouldBe("""[["b",404,"model_not_found"]]""");
        Of("cancelling").ShouldBe("true");
        Of("cancelled").ShouldBe("\"cancelled\"");
        Of("faulty").ShouldBe("""["failed",1]""");
        Of("missing").ShouldBe("""["BadRequestError",400,"input_file_id"]""");
        Of("listed").ShouldBe("true");
        Of("deleted").ShouldBe("true");
    }
}
