using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.EndToEndTests.Files;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.Loading;
using Shouldly;

namespace Serverless.EndToEndTests.Loading;

/// <summary>Models of a bucket of a real S3 server, which checks signatures and has ranges of its own.</summary>
public sealed class S3ModelTests(SharedS3 s3) : IClassFixture<SharedS3>, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-s3-models-");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_file_comes_in_ranges_and_a_folder_with_all_below_it()
    {
        Assert.SkipWhen(S3Server.Absent is not null, S3Server.Absent ?? "");
        var (bytes, config) = (Random(5_000_000, 1), Random(300, 2));
        await PutAsync("models/tiny/model.safetensors", bytes);
        await PutAsync("models/tiny/config.json", config);
        await PutAsync("models/tiny-other/config.json", config);
        using var store = Store(s3.Server!.Options().SecretKey!);

        using var file = await HoldAsync(store, "s3://files/models/tiny/model.safetensors");
        using var folder = await HoldAsync(store, "s3://files/models/tiny");

        File.ReadAllBytes(file.Path).ShouldBe(bytes);
        Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order().ShouldBe(["config.json", "model.safetensors"]);
        File.ReadAllBytes(Path.Combine(folder.Path, "config.json")).ShouldBe(config);
    }

    [Theory]
    [InlineData("s3://files/models/nope", null, "there are none")]
    [InlineData("s3://nope/models/tiny", null, "Models:S3")]
    [InlineData("s3://files/models/tiny", "wrong", "Models:S3")]
    public async Task What_cannot_be_had_is_told(string uri, string? secret, string said)
    {
        Assert.SkipWhen(S3Server.Absent is not null, S3Server.Absent ?? "");
        using var store = Store(secret ?? s3.Server!.Options().SecretKey!);

        (await Should.ThrowAsync<ModelPullException>(() => HoldAsync(store, uri))).Message.ShouldContain(said);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static byte[] Random(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static Task<HeldModel> HoldAsync(ModelStore store, string uri) => store.HoldAsync(ModelUri.Parse(uri, out _)!, new Progress<double>(), Token).WithinLimitAsync();

    private ModelStore Store(string secret)
    {
        var given = s3.Server!.Options();
        return new ModelStore(
            new ModelOptions { Directory = _folder.FullName, MinFreeBytes = 0, SegmentBytes = 1 << 20, S3 = { Endpoint = given.Endpoint, AccessKey = given.AccessKey, SecretKey = secret, Region = given.Region } },
            TimeProvider.System,
            NullLogger<ModelStore>.Instance);
    }

    private async Task PutAsync(string key, byte[] bytes)
    {
        var options = s3.Server!.Options();
        using var client = new AmazonS3Client(new BasicAWSCredentials(options.AccessKey, options.SecretKey), new AmazonS3Config { ServiceURL = options.Endpoint!.ToString(), ForcePathStyle = true, AuthenticationRegion = options.Region });
        await client.PutObjectAsync(new PutObjectRequest { BucketName = options.Bucket, Key = key, InputStream = new MemoryStream(bytes), UseChunkEncoding = false }, Token);
    }
}
