using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Serverless.Requests;
using Shouldly;
using static Serverless.FunctionalTests.Gateway.BatchScene;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Batches over HTTP, whose lines the test answers.</summary>
public sealed class BatchesTests
{
    [Fact]
    public async Task A_batch_is_validated_runs_and_has_a_file_of_answers_and_one_of_errors()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var batch = await CreateAsync(files, Line("a"), Line("b", model: "absent"), Line("c"));

        batch["status"]!.GetValue<string>().ShouldBe("validating");
        batch["id"]!.GetValue<string>().ShouldMatch("^batch_[0-9a-f]{32}$");
        (await AnswerAsync(files)).Lane.ShouldBe(Lane.Batch);
        await AnswerAsync(files);
        var ended = await UntilAsync(files, batch, "completed");

        ended["request_counts"]!.ToJsonString().ShouldBe("""{"total":3,"completed":2,"failed":1}""");
        ended["usage"]!["total_tokens"]!.GetValue<long>().ShouldBe(14);
        var outputs = await LinesAsync(files, ended["output_file_id"]!);
        outputs.Select(line => line["custom_id"]!.GetValue<string>()).Order().ShouldBe(["a", "c"]);
        outputs.ShouldAllBe(line => line["response"]!["status_code"]!.GetValue<int>() == 200 && line["error"] == null);
        outputs[0]["response"]!["body"]!["choices"]![0]!["message"]!["content"]!.GetValue<string>().ShouldBe("yes");
        var error = (await LinesAsync(files, ended["error_file_id"]!)).Single();
        (error["custom_id"]!.GetValue<string>(), error["response"]!["status_code"]!.GetValue<int>(), error["response"]!["body"]!["error"]!["code"]!.GetValue<string>()).ShouldBe(("b", 404, "model_not_found"));
        await OnDiskAsync(files, 3); // the input and two files: what it kept while it ran is cleared after its end
    }

    [Theory]
    [InlineData("{\"custom_id\":\"a\"", "invalid_json_line", 1)]
    [InlineData("[]", "invalid_json_line", 1)]
    [InlineData("{\"custom_id\":7,\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{}}", "invalid_custom_id", 1)]
    [InlineData("{\"custom_id\":\"a\",\"method\":\"GET\",\"url\":\"/v1/chat/completions\",\"body\":{}}", "invalid_method", 1)]
    [InlineData("{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{}}", "invalid_url", 1)]
    [InlineData("{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"stream\":true}}", "invalid_request", 1)]
    [InlineData("\u001f\ufffd", "invalid_json_line", 1)]
    [InlineData("\r\n \n", "empty_file", null)]
    public async Task A_faulty_line_fails_the_batch_with_its_number_and_nothing_runs(string line, string code, int? number)
    {
        await using var files = await FilesUnderTest.StartAsync();

        var failed = await UntilAsync(files, await CreateAsync(files, line), "failed");

        var error = failed["errors"]!["data"]![0]!;
        (error["code"]!.GetValue<string>(), error["line"]?.GetValue<int>()).ShouldBe((code, number));
        failed["request_counts"]!["total"]!.GetValue<int>().ShouldBe(0);
        await OnDiskAsync(files, 1);
    }

    [Fact]
    public async Task Two_lines_of_one_name_a_mark_and_windows_ends_of_lines()
    {
        await using var files = await FilesUnderTest.StartAsync();

        var failed = await UntilAsync(files, await CreateBytesAsync(files, [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes($"{Line("a")}\r\n\r\n{Line("a")}\r\n")]), "failed");

        var error = failed["errors"]!["data"]!.AsArray().Single()!;
        (error["code"]!.GetValue<string>(), error["line"]!.GetValue<int>(), error["param"]!.GetValue<string>()).ShouldBe(("duplicate_custom_id", 3, "custom_id"));
    }

    [Fact]
    public async Task One_that_is_cancelled_keeps_what_was_answered()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("Gateway:Batches:CommitLines", 1)]);
        var batch = await CreateAsync(files, [.. Enumerable.Range(0, 20).Select(number => Line($"n{number}"))]);
        await AnswerAsync(files);
        var running = await files.Gateway.TakeAsync();
        await UntilAsync(files, batch, now => now["request_counts"]!["completed"]!.GetValue<int>() == 1); // it has come to the batch, and not to the log alone

        using var cancelling = await files.AskAsync(HttpMethod.Post, $"/v1/batches/{batch["id"]}/cancel");
        cancelling.StatusCode.ShouldBe(HttpStatusCode.OK);
        var ended = await UntilAsync(files, batch, "cancelled");
        using var again = await files.AskAsync(HttpMethod.Post, $"/v1/batches/{batch["id"]}/cancel");

        again.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await running.EndAsync()).ShouldBeOfType<RequestEvent.Cancelled>();
        ended["request_counts"]!.ToJsonString().ShouldBe("""{"total":20,"completed":1,"failed":0}""");
        (await LinesAsync(files, ended["output_file_id"]!)).Count.ShouldBe(1);
        ended["error_file_id"].ShouldBeNull();
    }

    [Fact]
    public async Task Another_team_sees_nothing_of_it_and_lists_are_paged()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes("[]"));
        List<string> ids = [];
        for (var i = 0; i < 3; i++) ids.Add((await PostAsync(files, input))["id"]!.GetValue<string>());

        using var hidden = await files.AskAsync(HttpMethod.Get, $"/v1/batches/{ids[0]}", FilesUnderTest.Rival);
        var first = await files.GetAsync("/v1/batches?limit=2");
        var second = await files.GetAsync($"/v1/batches?limit=2&after={first["last_id"]}");

        hidden.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        (await files.GetAsync("/v1/batches", FilesUnderTest.Rival))["data"]!.AsArray().ShouldBeEmpty();
        first["has_more"]!.GetValue<bool>().ShouldBeTrue();
        first["data"]!.AsArray().Concat(second["data"]!.AsArray()).Select(one => one!["id"]!.GetValue<string>()).ShouldBe(Enumerable.Reverse(ids));
        second["has_more"]!.GetValue<bool>().ShouldBeFalse();
    }

    [Fact]
    public async Task One_that_is_sent_again_under_its_key_is_the_same_and_another_under_it_is_refused()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes(Line("a")));
        var atOnce = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => KeyedAsync(files, input, "24h")));
        await AnswerAsync(files);
        var ended = await UntilAsync(files, atOnce[0].Body, "completed");
        using var deleted = await files.AskAsync(HttpMethod.Delete, $"/v1/files/{input["id"]}");

        var (status, again, isReplayed) = await KeyedAsync(files, input, "24h");
        var (refused, fault, _) = await KeyedAsync(files, input, "12h");
        var (foreign, _, _) = await KeyedAsync(files, input, "24h", FilesUnderTest.Rival);

        atOnce.Select(one => one.Body["id"]!.GetValue<string>()).Distinct().ShouldHaveSingleItem();
        atOnce.Count(one => !one.IsReplayed).ShouldBe(1);
        (status, isReplayed, again.ToJsonString()).ShouldBe((HttpStatusCode.OK, true, ended.ToJsonString()));
        (refused, fault["error"]!["code"]!.GetValue<string>()).ShouldBe((HttpStatusCode.BadRequest, "idempotency_key_reused"));
        foreign.ShouldBe(HttpStatusCode.BadRequest, "another team's key is its own, and the file is none of its");
        (await files.GetAsync("/v1/batches"))["data"]!.AsArray().Count.ShouldBe(1);
    }

    [Theory]
    [InlineData("""{"endpoint":"/v1/chat/completions","completion_window":"24h"}""", "input_file_id")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"24h"}""", "input_file_id")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/embeddings","completion_window":"24h"}""", "endpoint")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"8d"}""", "completion_window")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":1}}""", "metadata")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"created_at","seconds":1}}""", "output_expires_after")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"\ud800"}""", "completion_window")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":"\ud800"}}""", "metadata")]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"\ud800":"a"}}""", null)]
    [InlineData("""{"input_file_id":"file-0","endpoint":"/v1/chat/completions","completion_window":"0000000000000000000000000000000000000000000000000000000000000000000024h"}""", "completion_window")]
    public async Task What_is_no_batch_is_refused_with_its_field(string body, string? param)
    {
        await using var files = await FilesUnderTest.StartAsync();

        using var answer = await files.SendAsync(HttpMethod.Post, "/v1/batches", new StringContent(body, Encoding.UTF8, "application/json"));

        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        ((string?)(await FilesUnderTest.JsonAsync(answer))["error"]!["param"]).ShouldBe(param);
    }

    private static async Task<(HttpStatusCode Status, JsonObject Body, bool IsReplayed)> KeyedAsync(FilesUnderTest files, JsonObject input, string window, (string, string)? owner = null)
    {
        var body = $$$"""{"input_file_id":"{{{input["id"]}}}","endpoint":"/v1/chat/completions","completion_window":"{{{window}}}","metadata":{"order":"7"}}""";
        var content = new StringContent(body, Encoding.UTF8, "application/json");
        content.Headers.TryAddWithoutValidation("Idempotency-Key", "order-7");
        using var answer = await files.SendAsync(HttpMethod.Post, "/v1/batches", content, owner);
        return (answer.StatusCode, await FilesUnderTest.JsonAsync(answer), answer.Headers.Contains("Idempotency-Replayed"));
    }
}
