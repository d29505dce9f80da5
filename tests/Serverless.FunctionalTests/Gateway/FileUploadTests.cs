using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Files;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Uploads: long ones, many at once, those that are refused or break off.</summary>
public sealed class FileUploadTests
{
    private const long Long = 201_000_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_of_201_MB_is_too_long_told_with_the_limit_and_leaves_nothing(bool toldLength)
    {
        await using var files = await FilesUnderTest.StartAsync();

        using var answer = await files.UploadAsync(new GeneratedContent(Long, toldLength: toldLength));

        answer.StatusCode.ShouldBe(HttpStatusCode.RequestEntityTooLarge);
        var error = (await FilesUnderTest.JsonAsync(answer))["error"]!;
        (error["code"]!.GetValue<string>(), error["param"]!.GetValue<string>()).ShouldBe(("file_too_large", "file"));
        error["message"]!.GetValue<string>().ShouldContain("200000000");
        files.OnDisk.ShouldBeEmpty();
    }

    [Fact]
    public async Task Uploads_go_on_side_by_side_for_two_teams()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("MaxUploads", 24)]); // half of them for their organization
        var all = Enumerable.Range(0, 12).Select(index => (Owner: index % 2 == 0 ? FilesUnderTest.Acme : FilesUnderTest.Rival, Bytes: RandomNumberGenerator.GetBytes(300_000 + index))).ToArray();

        var made = await Task.WhenAll(all.Select(async one => (await files.CreateAsync(one.Bytes, owner: one.Owner))["id"]!.GetValue<string>()));

        foreach (var (id, one) in made.Zip(all))
        {
            using var back = await files.AskAsync(HttpMethod.Get, $"/v1/files/{id}/content", one.Owner);
            (await back.Content.ReadAsByteArrayAsync(Token)).ShouldBe(one.Bytes);
        }

        (await files.GetAsync("/v1/files"))["data"]!.AsArray().Count.ShouldBe(6);
    }

    [Fact]
    public async Task What_is_beyond_the_uploads_at_once_is_refused_and_comes_in_afterwards()
    {
        var store = new WatchedStore();
        await using var files = await FilesUnderTest.StartAsync(configure: store.Watch, settings: [("MaxUploads", 1)]);
        var go = new TaskCompletionSource();
        var slow = files.UploadAsync(new Held(go));
        await store.Began.WithinLimitAsync();

        using (var refused = await files.UploadAsync(new ByteArrayContent([1])))
        {
            refused.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
            refused.Headers.RetryAfter.ShouldNotBeNull();
            (await FilesUnderTest.JsonAsync(refused))["error"]!["code"]!.GetValue<string>().ShouldBe("too_many_uploads");
        }

        go.SetResult();
        (await slow).StatusCode.ShouldBe(HttpStatusCode.OK);
        await files.CreateAsync([1]);
    }

    [Fact]
    public async Task A_client_that_hangs_up_leaves_nothing()
    {
        var store = new WatchedStore();
        await using var files = await FilesUnderTest.StartAsync(configure: store.Watch);
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(IPAddress.Loopback, files.Gateway.Client.BaseAddress!.Port, Token);
            var (name, value) = FilesUnderTest.Acme;
            var head = $"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\n{name}: {value}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n";
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head + new string('x', 300_000)), Token);
            await store.Began.WithinLimitAsync();
        }

        await store.Ended.WithinLimitAsync();
        files.OnDisk.ShouldBeEmpty();
        (await files.GetAsync("/v1/files"))["data"]!.AsArray().ShouldBeEmpty();
    }

    [Fact]
    public async Task An_upload_that_takes_too_long_is_told_and_leaves_nothing()
    {
        var time = new TestClock();
        var store = new WatchedStore();
        await using var files = await FilesUnderTest.StartAsync(new Backend(time), store.Watch, ("UploadTimeout", "00:01:00"));
        var go = new TaskCompletionSource();
        var slow = files.UploadAsync(new Held(go));
        await store.Began.WithinLimitAsync();

        await time.PassAsync(TimeSpan.FromMinutes(1));
        await store.Ended.WithinLimitAsync();
        go.SetResult(); // what is left is received, so that its client comes to hear it

        using var answer = await slow;
        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await FilesUnderTest.JsonAsync(answer))["error"]!["code"]!.GetValue<string>().ShouldBe("upload_timeout");
        files.OnDisk.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_full_team_is_told_before_its_bytes_are_received()
    {
        var store = new WatchedStore();
        await using var files = await FilesUnderTest.StartAsync(configure: store.Watch, settings: [("MaxFileBytes", 1_000_000), ("MaxOwnerBytes", 1_000_000)]);
        await files.CreateAsync(new byte[900_000]);
        await store.Ended.WithinLimitAsync();

        using var answer = await files.UploadAsync(new ByteArrayContent(new byte[500_000]));

        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await FilesUnderTest.JsonAsync(answer))["error"]!["code"]!.GetValue<string>().ShouldBe("storage_limit_exceeded");
        store.Puts.ShouldBe(1);
        await files.CreateAsync(new byte[500_000], owner: FilesUnderTest.Rival);
    }

    /// <summary>Bytes of which the last wait for the test.</summary>
    private sealed class Held(TaskCompletionSource go) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(new byte[200_000], Token);
            await stream.FlushAsync(Token);
            await go.Task.WaitAsync(Token);
            await stream.WriteAsync(new byte[1000], Token);
        }

        protected override bool TryComputeLength(out long computed)
        {
            computed = 0;
            return false;
        }
    }

    /// <summary>Tells when puts begin and end.</summary>
    private sealed class WatchedStore
    {
        private readonly TaskCompletionSource _began = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _puts;

        public Task Began => _began.Task;

        public Task Ended => _ended.Task;

        public int Puts => _puts;

        public void Watch(IServiceCollection services) => services.AddSingleton<IFileStore>(provider =>
            new Store(this, new Hosting.Files.LocalFileStore(provider.GetRequiredService<IOptions<Hosting.Files.FileStoreOptions>>().Value.Directory!, provider.GetRequiredService<TimeProvider>())));

        private sealed class Store(WatchedStore watch, IFileStore inner) : IFileStore
        {
            public async ValueTask<StoredBytes?> PutAsync(FileKey key, Stream content, long maxBytes, CancellationToken cancellationToken)
            {
                Interlocked.Increment(ref watch._puts);
                watch._began.TrySetResult();
                try
                {
                    return await inner.PutAsync(key, content, maxBytes, cancellationToken);
                }
                finally
                {
                    watch._ended.TrySetResult();
                }
            }

            public ValueTask<Stream?> OpenAsync(FileKey key, long offset, long? length, CancellationToken cancellationToken) => inner.OpenAsync(key, offset, length, cancellationToken);

            public ValueTask DeleteAsync(FileKey key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);

            public ValueTask<IReadOnlyList<FileEntry>> ListAsync(string room, string? after, int limit, CancellationToken cancellationToken) => inner.ListAsync(room, after, limit, cancellationToken);

            public ValueTask<int> DiscardUnfinishedAsync(DateTimeOffset begunBefore, CancellationToken cancellationToken) => inner.DiscardUnfinishedAsync(begunBefore, cancellationToken);
        }
    }

    [Fact]
    public async Task An_upload_that_is_sent_again_under_its_key_is_the_same_file()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("MaxOwnerFiles", 1)]);
        async Task<HttpResponseMessage> SendAsync(string bytes, (string, string)? owner = null)
        {
            var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(Encoding.UTF8.GetBytes(bytes)), "file", "a.jsonl" } };
            var message = new HttpRequestMessage(HttpMethod.Post, "/v1/files") { Content = form };
            var (name, value) = owner ?? FilesUnderTest.Acme;
            message.Headers.TryAddWithoutValidation(name, value);
            message.Headers.Add("Idempotency-Key", "k-1");
            return await files.Gateway.Client.SendAsync(message, Token);
        }

        using var first = await SendAsync("{}");
        using var again = await SendAsync("{}"); // though the team has no room for another
        using var other = await SendAsync("[]");
        using var others = await SendAsync("{}", FilesUnderTest.Rival);

        var id = (await FilesUnderTest.JsonAsync(first))["id"]!.GetValue<string>();
        (await FilesUnderTest.JsonAsync(again))["id"]!.GetValue<string>().ShouldBe(id);
        again.Headers.GetValues("Idempotency-Replayed").ShouldBe(["true"]);
        first.Headers.Contains("Idempotency-Replayed").ShouldBeFalse();
        (await FilesUnderTest.JsonAsync(other))["error"]!["code"]!.GetValue<string>().ShouldBe("idempotency_key_reused");
        (await FilesUnderTest.JsonAsync(others))["id"]!.GetValue<string>().ShouldNotBe(id);
        await BatchScene.OnDiskAsync(files, 2);
    }
}
