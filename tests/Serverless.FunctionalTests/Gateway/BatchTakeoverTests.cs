using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Batches;
using Serverless.Documents;
using Serverless.Files;
using Serverless.Gateway.Batches;
using Serverless.Leases;
using Serverless.Requests;
using Shouldly;
using static Serverless.FunctionalTests.Gateway.BatchScene;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Batches whose gateways and stores fail them: no line is lost, none is there twice.</summary>
public sealed class BatchTakeoverTests
{
    private const string EachLine = "Gateway:Batches:CommitLines";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_gateway_that_lost_the_lease_commits_nothing_more_and_each_line_is_there_once()
    {
        var backend = new Backend(TimeProvider.System);
        await using var first = await FilesUnderTest.StartAsync(backend, settings: [(EachLine, 4)]);
        await using var second = await FilesUnderTest.StartAsync(backend, settings: [("Directory", first.Folder), (EachLine, 4)]);
        var batch = await CreateAsync(first, Lines(40));
        var id = batch["id"]!.GetValue<string>();
        for (var line = 0; line < 4; line++) await AnswerAsync(first);
        await UntilAsync(first, batch, now => now["request_counts"]!["completed"]!.GetValue<int>() == 4);
        for (var line = 0; line < 2; line++) await AnswerAsync(first); // in the first one's hands, in no segment

        var lease = (await backend.Leases.ReadAsync(LeaseNames.Batch(id), Token)).ShouldNotBeNull();
        await backend.Leases.ReleaseAsync(lease, Token); // as if it had run out: it does not know yet
        second.Gateway.Services.GetRequiredService<BatchCoordinator>().Look();
        await UntilAsync(async () => await backend.Leases.ReadAsync(LeaseNames.Batch(id), Token) is { } now && now.Holder != lease.Holder);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var answering = AnswerAllAsync(backend, stop.Token);
        var ended = await UntilAsync(second, batch, "completed");
        await stop.CancelAsync();
        await answering;

        Counts(ended).ShouldBe("""{"total":40,"completed":40,"failed":0}""");
        (await NamesAsync(second, ended["output_file_id"])).Order().ShouldBe(Enumerable.Range(0, 40).Select(number => $"n{number}").Order());
    }

    [Fact]
    public async Task An_organization_that_has_no_place_gets_one_of_the_one_that_has_them_all()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [("Gateway:Batches:MaxRunning", 2)]);
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes(Line("a")));
        JsonObject[] batches = [await PostAsync(files, input, "1h"), await PostAsync(files, input, "2h"), await PostAsync(files, input, "3h")];
        for (var running = 0; running < 2; running++) (await files.Gateway.TakeAsync()).Request.Owner.Organization.ShouldBe("acme");

        var others = await PostAsync(files, await files.CreateAsync(Encoding.UTF8.GetBytes(Line("b")), owner: FilesUnderTest.Globex), owner: FilesUnderTest.Globex);

        (await AnswerAsync(files)).Owner.Organization.ShouldBe("globex");
        await UntilAsync(async () => (await files.GetAsync($"/v1/batches/{others["id"]}", FilesUnderTest.Globex))["status"]!.GetValue<string>() == "completed");
        (await files.GetAsync($"/v1/batches/{batches[0]["id"]}"))["status"]!.GetValue<string>().ShouldBe("in_progress");
    }

    [Fact]
    public async Task A_gateway_that_stops_keeps_what_was_answered_and_gives_the_batch_away()
    {
        var backend = new Backend(new TestClock());
        await using var first = await FilesUnderTest.StartAsync(backend);
        var batch = await CreateAsync(first, Lines(3));
        await AnswerAsync(first);
        await AnswerAsync(first);

        await first.Gateway.StopAsync();
        while (backend.Queue.Requests.TryRead(out _))
        {
        }

        await using var second = await FilesUnderTest.StartAsync(backend, settings: [("Directory", first.Folder)]); // time stands still: the lease was given back
        using var stop = new CancellationTokenSource();
        var answering = AnswerAllAsync(backend, stop.Token); // an answer that the first had not read when it stopped is asked for again
        var ended = await UntilAsync(second, batch, "completed");
        await stop.CancelAsync();
        await answering;

        (await NamesAsync(second, ended["output_file_id"])).Order().ShouldBe(["n0", "n1", "n2"]);
    }

    [Fact]
    public async Task A_commit_whose_answer_is_lost_counts_once()
    {
        var backend = new Backend(TimeProvider.System);
        var saves = 0;
        backend.Documents.AfterSave = key =>
        {
            if (key.Collection == "batches" && Interlocked.Increment(ref saves) is > 1 and var number && number % 2 == 0) throw Backend.Away("document store");
        };
        await using var files = await FilesUnderTest.StartAsync(backend, settings: [(EachLine, 1)]);
        var batch = await CreateAsync(files, Lines(2));
        await AnswerAsync(files);
        await AnswerAsync(files);

        var ended = await UntilAsync(files, batch, "completed");

        Counts(ended).ShouldBe("""{"total":2,"completed":2,"failed":0}""");
        (await NamesAsync(files, ended["output_file_id"])).Order().ShouldBe(["n0", "n1"]);
    }

    [Fact]
    public async Task A_plan_that_is_gone_fails_the_batch_with_what_was_answered()
    {
        var (files, batch) = await StoppedAsync(5);
        await using var first = files;
        var plan = first.OnDisk.Single(file => file.Name.Contains(".plan.", StringComparison.Ordinal));
        plan.Delete();

        await using var second = await FilesUnderTest.StartAsync(first.Gateway.Backend, settings: [("Directory", first.Folder)]);
        var failed = await UntilAsync(second, batch, "failed");

        var errors = failed["errors"]!["data"]!.AsArray();
        (errors[0]!["code"]!.GetValue<string>(), errors[0]!["message"]!.GetValue<string>()).ShouldSatisfyAllConditions(error => error.Item1.ShouldBe("batch_data_lost"), error => error.Item2.ShouldContain(plan.Name));
        (await NamesAsync(second, failed["output_file_id"])).ShouldBe(["n0"]);
        failed["failed_at"].ShouldNotBeNull();
        await OnDiskAsync(first, 2); // the input and the output
    }

    [Fact]
    public async Task A_segment_that_is_gone_fails_the_batch_with_the_others()
    {
        var (files, batch) = await StoppedAsync(3);
        await using var first = files;
        var segment = first.OnDisk.Single(file => file.Name.Contains(".out.", StringComparison.Ordinal));
        segment.Delete();

        await using var second = await FilesUnderTest.StartAsync(first.Gateway.Backend, settings: [("Directory", first.Folder)]);
        await AnswerAsync(second);
        await AnswerAsync(second);
        var failed = await UntilAsync(second, batch, "failed");

        failed["errors"]!["data"]!.AsArray().Select(error => error!["message"]!.GetValue<string>()).ShouldContain(message => message.Contains(segment.Name));
        (await NamesAsync(second, failed["output_file_id"])).Order().ShouldBe(["n1", "n2"]);
    }

    [Fact]
    public async Task A_batch_that_cannot_be_read_holds_up_no_other()
    {
        var backend = new Backend(TimeProvider.System);
        string[] faulty = ["batch_" + new string('a', 32), "batch_" + new string('b', 32)];
        await backend.Documents.SaveAsync(new DocumentKey("open-batches", "all", faulty[0]), "[7]"u8.ToArray(), SaveCondition.Any, null, Token);
        var open = $$"""{"id":"{{faulty[1]}}","organization":"acme","scope":"acme:research","created_at":"2000-01-01T00:00:00Z","expires_at":"2000-01-02T00:00:00Z"}""";
        await backend.Documents.SaveAsync(new DocumentKey("open-batches", "all", faulty[1]), Encoding.UTF8.GetBytes(open), SaveCondition.Any, null, Token);
        await backend.Documents.SaveAsync(new DocumentKey("batches", "acme:research", faulty[1]), "[7]"u8.ToArray(), SaveCondition.Any, null, Token);
        await using var files = await FilesUnderTest.StartAsync(backend);
        var batch = await CreateAsync(files, Line("a"));
        await AnswerAsync(files);

        await UntilAsync(files, batch, "completed");

        backend.Documents.Reads.ShouldContain($"open-batches/{faulty[0]}");
        backend.Documents.Reads.ShouldContain($"batches/{faulty[1]}");
    }

    [Fact]
    public async Task While_no_batch_is_open_it_asks_once_in_ten_seconds_for_their_names_alone()
    {
        var time = new TestClock();
        var backend = new Backend(time);
        await using var files = await FilesUnderTest.StartAsync(backend);
        int Lists() => backend.Documents.Reads.Count(read => read.StartsWith("open-batches", StringComparison.Ordinal));
        await UntilAsync(() => Task.FromResult(Lists() == 1));

        for (var looks = 2; looks < 5; looks++)
        {
            await time.PassAsync(10);
            await UntilAsync(() => Task.FromResult(Lists() >= looks));
            Lists().ShouldBe(looks);
        }

        backend.Documents.Reads.ShouldNotContain(read => read.Contains("batches/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_dead_gateways_left_is_swept_after_a_day_and_what_an_open_batch_has_stays()
    {
        var time = new TestClock();
        var backend = new Backend(time);
        await using var files = await FilesUnderTest.StartAsync(backend);
        var store = files.Gateway.Services.GetRequiredService<IFileStore>();
        var batch = await PostAsync(files, await files.CreateAsync(Encoding.UTF8.GetBytes(Line("a"))), "7d");
        await UntilAsync(files, batch, "in_progress");
        async Task LeftAsync(string name) => await store.PutAsync(new FileKey("batches", name), new MemoryStream([1]), 1, Token);
        await LeftAsync($"batch_{new string('d', 32)}.out.000000000000001.aaaaaaaa.00000001");
        await LeftAsync($"{batch["id"]}.out.000000000000001.aaaaaaaa.00000001");
        await LeftAsync("another.name");
        files.OnDisk.Count.ShouldBe(5); // the input, the plan, and these

        await time.PassAsync(TimeSpan.FromHours(26));
        await OnDiskAsync(files, 4);

        files.OnDisk.ShouldNotContain(file => file.Name.StartsWith("batch_dddd", StringComparison.Ordinal));
    }

    /// <summary>A gateway that stopped after it kept the first of so many lines.</summary>
    private static async Task<(FilesUnderTest Files, JsonObject Batch)> StoppedAsync(int lines)
    {
        var files = await FilesUnderTest.StartAsync(new Backend(TimeProvider.System), settings: [(EachLine, 1)]);
        var batch = await CreateAsync(files, Lines(lines));
        var requests = new List<HeldRequest>();
        for (var line = 0; line < lines; line++) requests.Add(await files.Gateway.TakeAsync());
        await AnswerAsync(requests.Single(held => Encoding.UTF8.GetString(held.Request.Body.Span).Contains("\"n0\"", StringComparison.Ordinal)));
        await UntilAsync(files, batch, now => now["request_counts"]!["completed"]!.GetValue<int>() == 1);
        await files.Gateway.StopAsync();
        return (files, batch);
    }

    [Fact]
    public async Task A_commit_that_a_stop_cuts_off_counts_once()
    {
        var backend = new Backend(new TestClock());
        await using var files = await FilesUnderTest.StartAsync(backend, settings: [(EachLine, 1)]);
        var batch = await UnseenAsync(files, Lines(2));
        using var stop = new CancellationTokenSource();
        var saves = 0;
        backend.Documents.AfterSave = key =>
        {
            if (key.Collection != "batches" || Interlocked.Increment(ref saves) != 3) return; // whose it is, the plan, the first line
            stop.Cancel();
            throw new OperationCanceledException(stop.Token); // as over HTTP: it is done, and nobody hears of it
        };
        var running = RunAsync(files, batch, 1, stop.Token);
        await AnswerAsync(files);
        await Should.ThrowAsync<OperationCanceledException>(running.WithinLimitAsync());
        while (backend.Queue.Requests.TryRead(out _))
        {
        }

        running = RunAsync(files, batch, 2, Token);
        await AnswerAsync(files);
        var ended = await running.WithinLimitAsync();

        (ended.Progress.Completed, ended.Progress.Failed, ended.Progress.InputTokens).ShouldBe((2, 0, 10));
        (await NamesAsync(files, ended.OutputFileId)).Order().ShouldBe(["n0", "n1"]);
    }

    [Fact]
    public async Task One_whose_endpoint_only_a_later_release_knows_is_left_to_it()
    {
        await using var files = await FilesUnderTest.StartAsync();
        var unknown = await UnseenAsync(files, Lines(1), batch => batch with { Endpoint = "/v1/tomorrow" });
        var batch = await CreateAsync(files, Line("a"));
        await AnswerAsync(files);
        await UntilAsync(files, batch, "completed");
        await UntilAsync(async () => await files.Gateway.Backend.Leases.ReadAsync(LeaseNames.Batch(unknown.Id), Token) is null);

        (await files.GetAsync($"/v1/batches/{unknown.Id}"))["status"]!.GetValue<string>().ShouldBe("validating");
    }

    /// <summary>A batch that was created elsewhere: no gateway has looked since.</summary>
    private static async Task<Batch> UnseenAsync(FilesUnderTest files, string[] lines, Func<Batch, Batch>? change = null)
    {
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes(string.Join('\n', lines)));
        var now = files.Gateway.Backend.Time.GetUtcNow();
        var batch = new Batch { Id = BatchId.New().Value, Owner = new Owner("acme", "research", "key"), Endpoint = "/v1/chat/completions", InputFileId = input["id"]!.GetValue<string>(), CompletionWindow = "24h", CreatedAt = now, ExpiresAt = now.AddDays(1) };
        batch = change?.Invoke(batch) ?? batch;
        await files.Gateway.Services.GetRequiredService<BatchDirectory>().CreateAsync(batch, Token);
        return batch;
    }

    private static async Task<Batch> RunAsync(FilesUnderTest files, Batch batch, long epoch, CancellationToken cancellationToken)
    {
        var parts = files.Gateway.Services.GetRequiredService<BatchParts>();
        using var run = new BatchRun(parts, (await parts.Directory.FindAsync(batch.Owner.Scope, batch.Id, Token)).ShouldNotBeNull(), new BatchRunId(epoch, "aaaaaaaa"), files.Gateway.Services.GetRequiredService<BatchNotices>());
        return await run.RunAsync(CancellationToken.None, cancellationToken);
    }
}
