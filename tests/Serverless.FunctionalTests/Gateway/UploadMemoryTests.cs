using System.Net;
using System.Security.Cryptography;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>After all others, alone: what they hold would be counted too.</summary>
[CollectionDefinition(nameof(UploadMemoryTests), DisableParallelization = true)]
[Collection(nameof(UploadMemoryTests))]
public sealed class UploadMemoryTests
{
    private const long Long = 201_000_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_file_of_201_MB_passes_through_a_buffer_at_a_time()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("MaxFileBytes", Long)]);
        await files.CreateAsync(new byte[1000]); // what is made once
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var most = 0L;
        var content = new GeneratedContent(Long, _ => most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: false)));

        using var answer = await files.UploadAsync(content);

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        var file = await FilesUnderTest.JsonAsync(answer);
        file["bytes"]!.GetValue<long>().ShouldBe(Long);
        (most - before).ShouldBeLessThan(Long / 2);
        using var back = await files.AskAsync(HttpMethod.Get, $"/v1/files/{file["id"]}/content");
        await using var stream = await back.Content.ReadAsStreamAsync(Token);
        Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, Token)).ShouldBe(content.Hash);
        back.Headers.ETag!.Tag.ShouldBe($"\"{content.Hash}\"");
    }
}
