using System.Security.Cryptography;
using Serverless.EndToEndTests.Parts;
using Serverless.Files;
using Serverless.Hosting.Files;
using Shouldly;

namespace Serverless.EndToEndTests.Files;

/// <summary>An S3 that hangs, dies and comes back.</summary>
public sealed class S3OutageTests
{
    private static readonly FileKey Name = new("files", "a");

    /// <summary>Put without an answer: it may be there, whole.</summary>
    private static readonly FileKey Unknown = new("files", "b");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_that_hangs_dies_and_comes_back_keeps_nobody_waiting_and_loses_nothing()
    {
        Assert.SkipWhen(S3Server.Absent is not null, S3Server.Absent ?? "");
        await using var server = await S3Server.StartNewAsync(Token);
        var options = server.Options();
        options.Timeout = TimeSpan.FromSeconds(2);
        using var store = new S3FileStore(options, TimeProvider.System);
        var bytes = RandomNumberGenerator.GetBytes(30_000_000);
        await store.PutAsync(Name, new MemoryStream(bytes), bytes.Length, Token);

        await server.Process.SignalAsync("STOP");
        (await S3FileStoreTests.AwayAsync(async () => await store.PutAsync(Unknown, new MemoryStream([1]), 1, Token).AsTask().WithinLimitAsync())).InnerException.ShouldBeOfType<TimeoutException>();
        await S3FileStoreTests.AwayAsync(async () => await store.OpenAsync(Name, 0, null, Token).WithinLimitAsync());
        await server.Process.SignalAsync("CONT");
        await server.Process.SignalAsync("KILL");
        await server.Process.ExitedAsync(Token).WithinLimitAsync();
        await S3FileStoreTests.AwayAsync(async () => await store.PutAsync(Name, new MemoryStream(bytes), bytes.Length, Token).AsTask().WithinLimitAsync());
        await S3FileStoreTests.AwayAsync(async () => await store.ListAsync("files", null, 1, Token).AsTask().WithinLimitAsync());

        await server.StartAsync(Token);
        await using var back = (await store.OpenAsync(Name, 0, null, Token)).ShouldNotBeNull();
        Convert.ToHexStringLower(await SHA256.HashDataAsync(back, Token)).ShouldBe(Convert.ToHexStringLower(SHA256.HashData(bytes)));
    }

    [Fact]
    public async Task A_server_that_dies_while_a_file_is_read_breaks_the_read_in_bounded_time()
    {
        Assert.SkipWhen(S3Server.Absent is not null, S3Server.Absent ?? "");
        await using var server = await S3Server.StartNewAsync(Token);
        var options = server.Options();
        options.Timeout = TimeSpan.FromSeconds(2);
        using var store = new S3FileStore(options, TimeProvider.System);
        await store.PutAsync(Name, new MemoryStream(new byte[50_000_000]), 50_000_000, Token);
        await using var open = (await store.OpenAsync(Name, 0, null, Token)).ShouldNotBeNull();
        (await open.ReadAsync(new byte[1000], Token)).ShouldBeGreaterThan(0);

        await server.Process.SignalAsync("STOP");

        await S3FileStoreTests.AwayAsync(() => open.CopyToAsync(Stream.Null, Token).WithinLimitAsync());
        await server.Process.SignalAsync("CONT");
    }
}
