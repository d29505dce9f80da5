using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Hosting.Files;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.EndToEndTests.Files;

public sealed class S3FileStoreTests(SharedS3 s3) : FileStoreContract, IClassFixture<SharedS3>, IDisposable
{
    private S3FileStore? _store;

    [Fact]
    public async Task Two_installations_share_a_bucket_by_their_prefixes()
    {
        var one = (S3FileStore)await CreateAsync();
        using var other = new S3FileStore(s3.Server!.Options("other/"), TimeProvider.System);

        await one.PutAsync(Key("a"), new MemoryStream([1]), 1, Token);

        (await other.OpenAsync(Key("a"), 0, null, Token)).ShouldBeNull();
        (await other.ListAsync(Key("a").Room, null, 10, Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Parts_that_a_dead_process_left_are_discarded_once_they_are_old()
    {
        var store = (S3FileStore)await CreateAsync();
        var options = s3.Server!.Options();
        using var client = new AmazonS3Client(new BasicAWSCredentials(options.AccessKey, options.SecretKey), new AmazonS3Config { ServiceURL = options.Endpoint!.ToString(), ForcePathStyle = true, AuthenticationRegion = options.Region });
        await client.InitiateMultipartUploadAsync(new InitiateMultipartUploadRequest { BucketName = options.Bucket, Key = options.Prefix + Key("a") }, Token);

        (await store.DiscardUnfinishedAsync(TimeProvider.System.GetUtcNow() - TimeSpan.FromHours(1), Token)).ShouldBe(0);
        (await store.DiscardUnfinishedAsync(TimeProvider.System.GetUtcNow() + TimeSpan.FromHours(1), Token)).ShouldBe(1);
        (await store.DiscardUnfinishedAsync(TimeProvider.System.GetUtcNow() + TimeSpan.FromHours(1), Token)).ShouldBe(0);
    }

    [Theory]
    [InlineData("bucket")]
    [InlineData("secret")]
    public async Task What_is_set_up_wrongly_is_a_store_that_is_away(string what)
    {
        _ = await CreateAsync();
        var options = s3.Server!.Options();
        if (what == "bucket") options.Bucket = "missing";
        else options.SecretKey = "wrong";
        using var store = new S3FileStore(options, TimeProvider.System);

        await AwayAsync(async () => await store.PutAsync(Key("a"), new MemoryStream([1]), 1, Token));
        await AwayAsync(async () => await store.OpenAsync(Key("a"), 0, null, Token));
        await AwayAsync(async () => await store.ListAsync("files", null, 10, Token));
        await AwayAsync(async () => await store.DiscardUnfinishedAsync(DateTimeOffset.MaxValue, Token));
        if (what == "secret") await AwayAsync(async () => await store.DeleteAsync(Key("a"), Token));
    }

    public void Dispose() => _store?.Dispose();

    internal static async Task<ServingException> AwayAsync(Func<Task> call)
    {
        var exception = await Should.ThrowAsync<ServingException>(call);
        exception.Fault.Error.ShouldBe(ServingError.StoreUnavailable);
        exception.Fault.Message.ShouldNotContain("127.0.0.1");
        return exception;
    }

    protected override ValueTask<IFileStore> CreateAsync()
    {
        Assert.SkipWhen(s3.Server is null, S3Server.Absent ?? "");
        _store ??= new S3FileStore(s3.Server!.Options(), TimeProvider.System);
        return new(_store);
    }
}
