using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Serverless.Errors;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>OpenAI's Files API, as its clients see it.</summary>
public sealed class FilesTests
{
    private static readonly byte[] Bytes = [.. Enumerable.Range(0, 1000).Select(index => (byte)(index * 31))];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_file_has_OpenAIs_shape_with_null_for_what_is_not_there()
    {
        var time = new TestClock(DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));
        await using var files = await FilesUnderTest.StartAsync(new Backend(time));

        var batch = await files.CreateAsync(Bytes);
        var data = await files.CreateAsync([], "user_data");
        var brief = await files.CreateAsync(Bytes, "vision", fields: [("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")]);

        var id = batch["id"]!.GetValue<string>();
        id.ShouldMatch("^file-[0-9a-f]{32}$");
        batch.ToJsonString().ShouldBe($$"""{"id":"{{id}}","object":"file","bytes":1000,"created_at":1800000000,"expires_at":1802592000,"filename":"a.jsonl","purpose":"batch","status":"processed","status_details":null}""");
        data.ToJsonString().ShouldContain("\"bytes\":0,\"created_at\":1800000000,\"expires_at\":null,");
        brief["expires_at"]!.GetValue<long>().ShouldBe(1_800_003_600);
        foreach (var path in new[] { "/v1/files/", "/files/" }) (await files.GetAsync(path + id)).ToJsonString().ShouldBe(batch.ToJsonString());
    }

    [Fact]
    public async Task The_file_may_come_before_its_purpose_without_a_content_type()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var form = new MultipartFormDataContent("b0undary");
        var content = new ByteArrayContent(Bytes);
        content.Headers.TryAddWithoutValidation("Content-Disposition", "form-data; name=file; filename=x; filename*=utf-8''%C3%A9t%C3%A9.jsonl");
        form.Add(content);
        form.Add(new StringContent("batch"), "purpose");

        using var answer = await files.SendAsync(HttpMethod.Post, "/files", form);

        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        var file = await FilesUnderTest.JsonAsync(answer);
        file["filename"]!.GetValue<string>().ShouldBe("été.jsonl");
        using var back = await files.AskAsync(HttpMethod.Get, $"/v1/files/{file["id"]}/content");
        (await back.Content.ReadAsByteArrayAsync(Token)).ShouldBe(Bytes);
        back.Content.Headers.ContentDisposition!.FileNameStar.ShouldBe("été.jsonl");
    }

    [Fact]
    public async Task Lists_have_cursors_an_order_a_limit_and_a_purpose()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var ids = new List<string>();
        for (var i = 0; i < 7; i++) ids.Add((await files.CreateAsync([1], i % 2 == 0 ? "batch" : "evals"))["id"]!.GetValue<string>());
        ids.Reverse();

        var all = await files.GetAsync("/v1/files");
        Ids(all).ShouldBe(ids);
        (all["object"]!.GetValue<string>(), all["first_id"]!.GetValue<string>(), all["last_id"]!.GetValue<string>(), all["has_more"]!.GetValue<bool>()).ShouldBe(("list", ids[0], ids[^1], false));

        var page = await files.GetAsync($"/v1/files?limit=3&after={ids[1]}");
        Ids(page).ShouldBe(ids[2..5]);
        page["has_more"]!.GetValue<bool>().ShouldBeTrue();
        Ids(await files.GetAsync("/v1/files?order=asc&limit=10000")).ShouldBe(Enumerable.Reverse(ids));
        Ids(await files.GetAsync("/v1/files?purpose=evals")).Count.ShouldBe(3);

        var none = await files.GetAsync("/v1/files?purpose=nothing");
        none.ToJsonString().ShouldBe("""{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}""");
        foreach (var (query, param) in new[] { ("limit=0", "limit"), ("limit=10001", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=file-0", "after") })
        {
            await RefusedAsync(await files.AskAsync(HttpMethod.Get, "/v1/files?" + query), HttpStatusCode.BadRequest, null, param);
        }
    }

    [Fact]
    public async Task A_deleted_file_is_gone_with_its_bytes()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var id = (await files.CreateAsync(Bytes))["id"]!.GetValue<string>();

        using var answer = await files.AskAsync(HttpMethod.Delete, "/v1/files/" + id);

        (await answer.Content.ReadAsStringAsync(Token)).ShouldBe($$"""{"id":"{{id}}","object":"file","deleted":true}""");
        files.OnDisk.ShouldBeEmpty();
        foreach (var (method, path) in new[] { (HttpMethod.Get, ""), (HttpMethod.Get, "/content"), (HttpMethod.Delete, "") })
        {
            var error = await RefusedAsync(await files.AskAsync(method, $"/v1/files/{id}{path}"), HttpStatusCode.NotFound, null, "id");
            error["message"]!.GetValue<string>().ShouldBe("No such File object: " + id);
        }
    }

    [Fact]
    public async Task Another_teams_file_is_not_there()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var id = (await files.CreateAsync(Bytes))["id"]!.GetValue<string>();

        foreach (var (method, path) in new[] { (HttpMethod.Get, ""), (HttpMethod.Get, "/content"), (HttpMethod.Delete, "") })
        {
            await RefusedAsync(await files.AskAsync(method, $"/v1/files/{id}{path}", FilesUnderTest.Rival), HttpStatusCode.NotFound, null, "id");
        }

        Ids(await files.GetAsync("/v1/files", FilesUnderTest.Rival)).ShouldBeEmpty();
        await RefusedAsync(await files.AskAsync(HttpMethod.Get, "/v1/files?after=" + id, FilesUnderTest.Rival), HttpStatusCode.BadRequest, null, "after");
        Ids(await files.GetAsync("/v1/files")).ShouldBe([id]);
    }

    [Fact]
    public async Task Expired_ones_are_not_there_and_their_bytes_are_swept_by_a_loop()
    {
        var time = new TestClock();
        await using var files = await FilesUnderTest.StartAsync(new Backend(time));
        var id = (await files.CreateAsync(Bytes))["id"]!.GetValue<string>();

        using var watch = new FileSystemWatcher(files.OnDisk.Single().DirectoryName!) { EnableRaisingEvents = true };
        var swept = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        watch.Deleted += (_, _) => swept.TrySetResult();
        time.Advance(TimeSpan.FromDays(30) - TimeSpan.FromSeconds(1));
        (await files.GetAsync("/v1/files/" + id))["id"]!.GetValue<string>().ShouldBe(id);
        time.Advance(TimeSpan.FromSeconds(1));
        await RefusedAsync(await files.AskAsync(HttpMethod.Get, $"/v1/files/{id}/content"), HttpStatusCode.NotFound, null, "id");

        await time.PassUntilAsync(swept.Task, TimeSpan.FromHours(1));
        files.OnDisk.ShouldBeEmpty();
    }

    [Fact]
    public async Task Content_is_safe_to_show_and_known_by_its_tag()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var id = (await files.CreateAsync(Bytes))["id"]!.GetValue<string>();

        using var whole = await files.AskAsync(HttpMethod.Get, $"/v1/files/{id}/content");
        whole.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await whole.Content.ReadAsByteArrayAsync(Token)).ShouldBe(Bytes);
        var tag = whole.Headers.ETag!.ToString();
        tag.ShouldBe($"\"{Convert.ToHexStringLower(SHA256.HashData(Bytes))}\"");
        whole.Content.Headers.ContentType!.ToString().ShouldBe("application/octet-stream");
        whole.Content.Headers.ContentDisposition!.DispositionType.ShouldBe("attachment");
        whole.Headers.GetValues("X-Content-Type-Options").ShouldBe(["nosniff"]);

        using var known = await files.AskAsync(HttpMethod.Get, $"/v1/files/{id}/content", headers: ("If-None-Match", tag));
        known.StatusCode.ShouldBe(HttpStatusCode.NotModified);
        using var head = await files.AskAsync(HttpMethod.Head, $"/v1/files/{id}/content");
        (head.StatusCode, head.Content.Headers.ContentLength).ShouldBe((HttpStatusCode.OK, 1000));
    }

    [Theory]
    [InlineData("bytes=0-0", 206, 0, 1)]
    [InlineData("bytes=10-19", 206, 10, 10)]
    [InlineData("bytes=990-", 206, 990, 10)]
    [InlineData("bytes=990-5000", 206, 990, 10)]
    [InlineData("bytes=-10", 206, 990, 10)]
    [InlineData("bytes=-5000", 200, 0, 1000)]
    [InlineData("bytes=0-", 200, 0, 1000)]
    [InlineData("bytes=1000-", 416, 0, 0)]
    [InlineData("bytes=-0", 416, 0, 0)]
    [InlineData("bytes=0-1,5-6", 200, 0, 1000)]
    [InlineData("lines=0-1", 200, 0, 1000)]
    [InlineData("bytes=5-1", 200, 0, 1000)]
    public async Task A_range_is_read_alone(string range, int status, int first, int length)
    {
        await using var files = await FilesUnderTest.StartAsync();
        var id = (await files.CreateAsync(Bytes))["id"]!.GetValue<string>();

        using var answer = await files.AskAsync(HttpMethod.Get, $"/v1/files/{id}/content", headers: ("Range", range));

        ((int)answer.StatusCode).ShouldBe(status);
        (await answer.Content.ReadAsByteArrayAsync(Token)).ShouldBe(Bytes[first..(first + length)]);
        if (status == 206) answer.Content.Headers.ContentRange!.ToString().ShouldBe($"bytes {first}-{first + length - 1}/1000");
        if (status == 416) answer.Content.Headers.ContentRange!.ToString().ShouldBe("bytes */1000");

        using var stale = await files.AskAsync(HttpMethod.Get, $"/v1/files/{id}/content", null, ("Range", "bytes=1-2"), ("If-Range", "\"other\""));
        stale.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("batch_output")]
    [InlineData("Batch")]
    [InlineData("")]
    public async Task An_unknown_purpose_is_refused_and_leaves_nothing(string purpose)
    {
        await using var files = await FilesUnderTest.StartAsync();

        var error = await RefusedAsync(await files.UploadAsync(new ByteArrayContent(Bytes), purpose), HttpStatusCode.BadRequest, null, "purpose");

        error["message"]!.GetValue<string>().ShouldContain("'fine-tune'");
        files.OnDisk.ShouldBeEmpty();
    }

    [Fact]
    public async Task What_is_wrong_behind_the_bytes_leaves_none_of_them()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var form = new MultipartFormDataContent { { new ByteArrayContent(Bytes), "file", "a" }, { new StringContent("nonsense"), "purpose" } };

        await RefusedAsync(await files.SendAsync(HttpMethod.Post, "/v1/files", form), HttpStatusCode.BadRequest, null, "purpose");
        await RefusedAsync(await files.SendAsync(HttpMethod.Post, "/v1/files", Truncated("--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nbytes")), HttpStatusCode.BadRequest, null, null);
        await RefusedAsync(await files.SendAsync(HttpMethod.Post, "/v1/files", new StringContent("{}", Encoding.UTF8, "application/json")), HttpStatusCode.UnsupportedMediaType, "unsupported_content_type", null);

        files.OnDisk.ShouldBeEmpty();
        Ids(await files.GetAsync("/v1/files")).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_document_store_that_is_away_is_told_and_what_came_to_nothing_is_swept()
    {
        var time = new TestClock();
        await using var files = await FilesUnderTest.StartAsync(new Backend(time));
        files.Gateway.Backend.Documents.BeforeSave = key => key.Collection == "files" ? throw Backend.Away("document store") : Task.CompletedTask;

        await RefusedAsync(await files.UploadAsync(new ByteArrayContent(Bytes)), HttpStatusCode.ServiceUnavailable, "store_unavailable", null, ServingError.StoreUnavailable);

        files.Gateway.Backend.Documents.BeforeSave = _ => Task.CompletedTask;
        Ids(await files.GetAsync("/v1/files")).ShouldBeEmpty();
        files.OnDisk.Count.ShouldBe(1, "whether there is a file was not known");
    }

    [Fact]
    public async Task Where_nobody_said_where_files_go_uploads_are_told_whom_to_ask()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(Bytes), "file", "a" } };

        var answer = await gateway.Client.PostAsync(new Uri("/v1/files", UriKind.Relative), form, Token);

        await RefusedAsync(answer, HttpStatusCode.NotFound, "files_not_set_up", null);
    }

    private static StringContent Truncated(string form)
    {
        var content = new StringContent(form);
        content.Headers.Remove("Content-Type");
        content.Headers.TryAddWithoutValidation("Content-Type", "multipart/form-data; boundary=b");
        return content;
    }

    private static List<string> Ids(JsonObject list) => [.. list["data"]!.AsArray().Select(file => file!["id"]!.GetValue<string>())];

    private static async Task<JsonObject> RefusedAsync(HttpResponseMessage answer, HttpStatusCode status, string? code, string? param, ServingError error = ServingError.InvalidRequest)
    {
        using (answer)
        {
            answer.StatusCode.ShouldBe(status);
            var body = (await FilesUnderTest.JsonAsync(answer))["error"]!.AsObject();
            (body["type"]!.GetValue<string>(), body["code"]?.GetValue<string>(), body["param"]?.GetValue<string>()).ShouldBe((ServingErrors.Row(error).Type, code, param), body.ToJsonString());
            return body;
        }
    }
}
