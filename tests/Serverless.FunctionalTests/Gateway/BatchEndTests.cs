using System.Net;
using Serverless.Requests;
using Shouldly;
using static Serverless.FunctionalTests.Gateway.BatchScene;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Ends of batches that came early: given up, or their windows over.</summary>
public sealed class BatchEndTests
{
    private const string OneAtATime = "Gateway:Batches:MaxRunning";
    private const string EachLine = "Gateway:Batches:CommitLines";

    [Fact]
    public async Task One_that_nobody_runs_yet_is_cancelled_at_once_and_that_again_is_no_fault()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [(OneAtATime, 1)]);
        var first = await CreateAsync(files, Line("a"));
        var held = await files.Gateway.TakeAsync();
        var second = await CreateAsync(files, Line("b"));

        (await CancelAsync(files, second)).ShouldBe(HttpStatusCode.OK);
        var cancelled = await UntilAsync(files, second, "cancelled");
        (await CancelAsync(files, second)).ShouldBe(HttpStatusCode.OK);
        await AnswerAsync(held);
        await UntilAsync(files, first, "completed");

        Counts(cancelled).ShouldBe("""{"total":0,"completed":0,"failed":0}""");
        (cancelled["output_file_id"], cancelled["error_file_id"], cancelled["finalizing_at"]).ShouldBe((null, null, null));
        cancelled["cancelling_at"].ShouldNotBeNull();
        (await CancelAsync(files, first)).ShouldBe(HttpStatusCode.BadRequest);
        files.Gateway.Queue.Requests.TryRead(out _).ShouldBeFalse("nothing of the second one ran");
    }

    [Fact]
    public async Task A_window_that_is_over_while_lines_run_keeps_what_was_answered()
    {
        var time = new TestClock();
        await using var files = await FilesUnderTest.StartAsync(new Backend(time), settings: [(EachLine, 1)]);
        var batch = await PostAsync(files, await files.CreateAsync(Bytes(Lines(20))), "1m");
        await AnswerAsync(files);
        await UntilAsync(files, batch, now => now["request_counts"]!["completed"]!.GetValue<int>() == 1);

        await time.PassAsync(TimeSpan.FromSeconds(60));
        var ended = await UntilAsync(files, batch, "expired");

        Counts(ended).ShouldBe("""{"total":20,"completed":1,"failed":19}""");
        (await LinesAsync(files, ended["output_file_id"])).Count.ShouldBe(1);
        var errors = await LinesAsync(files, ended["error_file_id"]);
        errors.Count.ShouldBe(19);
        errors.ShouldAllBe(line => line["response"] == null && line["error"]!["code"]!.GetValue<string>() == "batch_expired");
        (ended["expired_at"]!.GetValue<long>() >= ended["expires_at"]!.GetValue<long>(), ended["finalizing_at"] is not null, ended["completed_at"]).ShouldBe((true, true, null));
    }

    [Theory]
    [InlineData(false, """{"total":3,"completed":0,"failed":3}""")]
    [InlineData(true, """{"total":3,"completed":1,"failed":2}""")]
    public async Task A_window_that_is_over_while_nobody_runs_it_ends_with_whoever_comes_next(bool ran, string counts)
    {
        var time = new TestClock();
        var backend = new Backend(time);
        await using var first = await FilesUnderTest.StartAsync(backend, settings: [(EachLine, 1)]);
        var batch = await PostAsync(first, await first.CreateAsync(Bytes(Lines(3))), "1m");
        var held = await first.Gateway.TakeAsync();
        if (ran)
        {
            await AnswerAsync(held);
            await UntilAsync(first, batch, now => now["request_counts"]!["completed"]!.GetValue<int>() == 1);
        }

        await first.Gateway.StopAsync();
        time.Advance(TimeSpan.FromSeconds(60));
        await using var second = await FilesUnderTest.StartAsync(backend, settings: [("Directory", first.Folder)]);
        var ended = await UntilAsync(second, batch, "expired");

        Counts(ended).ShouldBe(counts);
        string[] names = [.. await NamesAsync(second, ended["output_file_id"]), .. await NamesAsync(second, ended["error_file_id"])];
        names.Order().ShouldBe(["n0", "n1", "n2"]);
    }

    private static byte[] Bytes(string[] lines) => System.Text.Encoding.UTF8.GetBytes(string.Join('\n', lines));

    [Fact]
    public async Task Long_answers_are_kept_before_they_fill_the_memory()
    {
        var backend = new Backend(new TestClock()); // by time nothing is kept
        await using var files = await FilesUnderTest.StartAsync(backend, settings: [("Gateway:Batches:CommitLines", 1000)]);
        var batch = await CreateAsync(files, Lines(8));
        var text = new string('x', 3 << 20);
        for (var line = 0; line < 2; line++)
        {
            var held = await files.Gateway.TakeAsync();
            await held.BeginAsync();
            await held.SayAsync(text, finish: FinishReason.Stop);
            await held.FinishAsync();
        }

        await UntilAsync(files, batch, now => now["request_counts"]!["completed"]!.GetValue<int>() == 2);
    }
}
