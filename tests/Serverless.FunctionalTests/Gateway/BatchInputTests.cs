using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Batches;
using Serverless.Catalog;
using Serverless.Files;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Batches;
using Serverless.Requests;
using Shouldly;
using static Serverless.FunctionalTests.Gateway.BatchScene;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>What may be in the input of a batch, and what becomes of it.</summary>
public sealed class BatchInputTests
{
    [Fact]
    public async Task Two_batches_may_have_one_input_which_may_be_deleted_once_they_run()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes($"\uFEFF{Line("a")}\r\n\r\n{Line("b")}\r\n"));
        JsonObject[] batches = [await PostAsync(files, input), await PostAsync(files, input)];
        foreach (var batch in batches) await UntilAsync(files, batch, "in_progress");

        using var deleted = await files.AskAsync(HttpMethod.Delete, $"/v1/files/{input["id"]}");
        for (var line = 0; line < 4; line++) await AnswerAsync(files);

        deleted.EnsureSuccessStatusCode();
        foreach (var batch in batches)
        {
            var ended = await UntilAsync(files, batch, "completed");
            Counts(ended).ShouldBe("""{"total":2,"completed":2,"failed":0}""");
            (await NamesAsync(files, ended["output_file_id"])).Order().ShouldBe(["a", "b"]);
            ended["error_file_id"].ShouldBeNull();
        }
    }

    [Fact]
    public async Task An_input_that_is_deleted_before_it_was_read_fails_the_batch()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("Gateway:Batches:MaxRunning", 1)]);
        var first = await CreateAsync(files, Line("a"));
        var held = await files.Gateway.TakeAsync();
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes(Line("b")));
        var second = await PostAsync(files, input);

        using var deleted = await files.AskAsync(HttpMethod.Delete, $"/v1/files/{input["id"]}");
        await AnswerAsync(held);
        var failed = await UntilAsync(files, second, "failed");

        await UntilAsync(files, first, "completed");
        failed["errors"]!["data"]![0]!["code"]!.GetValue<string>().ShouldBe("input_file_not_found");
    }

    [Fact]
    public async Task Lines_may_ask_for_several_models()
    {
        var other = GatewayUnderTest.Model with { Name = new ModelName("other") };
        await using var files = await FilesUnderTest.StartAsync(configure: services => services.AddSingleton<ICatalogSource>(new TwoModels(new ModelCatalog([GatewayUnderTest.Model, other]))));
        var batch = await CreateAsync(files, Line("a"), Line("b", "other"));

        string[] models = [(await AnswerAsync(files)).Model.Value, (await AnswerAsync(files)).Model.Value];
        var ended = await UntilAsync(files, batch, "completed");

        models.Order().ShouldBe(["other", GatewayUnderTest.ModelName]);
        ended["model"].ShouldBeNull();
        (await LinesAsync(files, ended["output_file_id"])).Select(line => line["response"]!["body"]!["model"]!.GetValue<string>()).Order().ShouldBe(["other", GatewayUnderTest.ModelName]);
    }

    [Fact]
    public async Task Too_many_lines_fail_the_batch_at_the_first_that_is_too_many_and_leave_nothing()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("Gateway:Batches:MaxLines", 1500)]);

        var failed = await UntilAsync(files, await CreateAsync(files, Lines(1501)), "failed");

        var error = failed["errors"]!["data"]!.AsArray().Single()!;
        (error["code"]!.GetValue<string>(), error["line"]!.GetValue<int>()).ShouldBe(("too_many_lines", 1501));
        error["message"]!.GetValue<string>().ShouldContain("1500");
        await OnDiskAsync(files, 1);
    }

    [Fact]
    public async Task A_line_of_10_MB_is_asked_for_and_one_beyond_the_limit_has_its_number()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var longest = Line(new string('x', 10)).Replace("\"content\":\"", "\"content\":\"" + new string('y', 10_000_000), StringComparison.Ordinal);
        var tooLong = Line("z").Replace("\"content\":\"", "\"content\":\"" + new string('y', 17_000_000), StringComparison.Ordinal);

        var ended = await UntilAsync(files, await CreateAsync(files, Line("a", "absent"), longest), "completed");
        var failed = await UntilAsync(files, await CreateAsync(files, Line("a"), tooLong, Line("b")), "failed");

        (await LinesAsync(files, ended["error_file_id"])).Select(line => line["response"]!["body"]!["error"]!["code"]!.GetValue<string>()).Order().ShouldBe(["context_length_exceeded", "model_not_found"]);
        var error = failed["errors"]!["data"]!.AsArray().Single()!;
        (error["code"]!.GetValue<string>(), error["line"]!.GetValue<int>()).ShouldBe(("line_too_long", 2));
    }

    [Theory]
    [InlineData(0xFF, 2)]
    [InlineData(0xC3, 2)]
    public async Task Bytes_that_are_no_UTF_8_are_named_by_their_line(byte wrong, int number)
    {
        await using var files = await FilesUnderTest.StartAsync();
        var input = Encoding.UTF8.GetBytes($"{Line("a")}\n{Line("?")}\n{Line("c")}");
        input[Array.LastIndexOf(input, (byte)'?')] = wrong;

        var failed = await UntilAsync(files, await CreateBytesAsync(files, input), "failed");

        var error = failed["errors"]!["data"]!.AsArray().Single()!;
        (error["code"]!.GetValue<string>(), error["line"]!.GetValue<int>()).ShouldBe(("invalid_json_line", number));
    }

    private sealed class TwoModels(ModelCatalog catalog) : ICatalogSource
    {
        public ModelCatalog Current => catalog;
    }

    [Fact]
    public async Task An_organization_has_so_many_open_and_none_where_its_team_has_no_room_for_files()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("Gateway:Batches:MaxOpen", 1), ("MaxOwnerFiles", 2)]);
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes(Line("a")));
        var batch = await PostAsync(files, input);
        await UntilAsync(files, batch, "in_progress");
        async Task<(int, string?)> TryAsync()
        {
            var body = $$"""{"input_file_id":"{{input["id"]}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""";
            using var answer = await files.SendAsync(HttpMethod.Post, "/v1/batches", new StringContent(body, Encoding.UTF8, "application/json"));
            return ((int)answer.StatusCode, (await FilesUnderTest.JsonAsync(answer))["error"]?["code"]?.GetValue<string>());
        }

        (await TryAsync()).ShouldBe((429, "too_many_open_batches"));
        await AnswerAsync(files);
        await UntilAsync(files, batch, "completed"); // with that the team has two files
        await UntilAsync(async () => await TryAsync() is (400, "storage_limit_exceeded"));
    }

    [Fact]
    public async Task A_plan_that_is_cut_off_leaves_nothing()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes(string.Join('\n', Lines(2500))));
        var now = DateTimeOffset.UnixEpoch;
        var batch = new Batch { Id = BatchId.New().Value, Owner = new Owner("acme", "research", "key"), Endpoint = "/v1/chat/completions", InputFileId = input["id"]!.GetValue<string>(), CompletionWindow = "24h", CreatedAt = now, ExpiresAt = now };
        var store = new StoppedStore(files.Gateway.Services.GetRequiredService<IFileStore>());
        var plan = new BatchPlan(files.Gateway.Services.GetRequiredService<FileDirectory>(), new BatchStore(store), Options.Create(new BatchOptions()), Options.Create(new AdmissionOptions()));

        await Should.ThrowAsync<OperationCanceledException>(plan.MakeAsync(batch, $"{batch.Id}.plan.1", TestContext.Current.CancellationToken));

        files.OnDisk.Count.ShouldBe(1);
    }

    /// <summary>Whose process is stopped in the second put.</summary>
    private sealed class StoppedStore(IFileStore store) : IFileStore
    {
        private int _puts;

        public ValueTask<StoredBytes?> PutAsync(FileKey key, Stream content, long maxBytes, CancellationToken cancellationToken) =>
            ++_puts == 2 ? throw new OperationCanceledException() : store.PutAsync(key, content, maxBytes, cancellationToken);

        public ValueTask<Stream?> OpenAsync(FileKey key, long offset, long? length, CancellationToken cancellationToken) => store.OpenAsync(key, offset, length, cancellationToken);

        public ValueTask DeleteAsync(FileKey key, CancellationToken cancellationToken) => store.DeleteAsync(key, cancellationToken);

        public ValueTask<IReadOnlyList<FileEntry>> ListAsync(string room, string? after, int limit, CancellationToken cancellationToken) => store.ListAsync(room, after, limit, cancellationToken);

        public ValueTask<int> DiscardUnfinishedAsync(DateTimeOffset begunBefore, CancellationToken cancellationToken) => store.DiscardUnfinishedAsync(begunBefore, cancellationToken);
    }
}
