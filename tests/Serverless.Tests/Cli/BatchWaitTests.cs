using System.Globalization;
using System.Net;
using Serverless.Cli.Commands;
using Serverless.Cli.Shell;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class BatchWaitTests
{
    private TestTerminal? _terminal;

    [Fact]
    public async Task A_pipe_gets_a_line_per_status_and_the_batch_at_its_end()
    {
        (await WaitAsync(isTerminal: false, Batch("validating", 0, 0), Batch("in_progress", 100, 0), Batch("in_progress", 200, 0), null, Batch("completed", 2000, 0))).ShouldBe(ExitCode.Done);

        _terminal!.Error.ShouldBe("validating: 0 of 2,000 lines\nin_progress: 100 of 2,000 lines\ncompleted: 2,000 of 2,000 lines\n");
        _terminal.Output.ShouldContain("status:   completed\nlines:    2,000 of 2,000 answered, 0 failed\n");
    }

    [Fact]
    public async Task A_terminal_is_drawn_over_with_what_is_left()
    {
        (await WaitAsync(isTerminal: true, Batch("in_progress", 100, 0), Batch("in_progress", 200, 10), Batch("completed", 1990, 10))).ShouldBe(ExitCode.Done);

        var drawn = _terminal!.Output.Replace('\e', '␛')[.._terminal.Output.IndexOf("id: ", StringComparison.Ordinal)];
        drawn.ShouldBe("\r␛[Kin_progress: 100 of 2,000 lines\r␛[Kin_progress: 210 of 2,000 lines, 10 failed, 110 lines/s, 17 s left\r␛[Kcompleted: 2,000 of 2,000 lines, 10 failed\r␛[K");
    }

    [Fact]
    public async Task An_end_that_is_not_completed_is_a_failure() => (await WaitAsync(isTerminal: false, Batch("in_progress", 0, 0), Batch("expired", 0, 2000))).ShouldBe(ExitCode.Failed);

    /// <summary>A second for each look; no body: nobody answers.</summary>
    private async Task<int> WaitAsync(bool isTerminal, params string?[] bodies)
    {
        var gateway = new CannedGateway([.. bodies.Select(body => ("GET /v1/batches/batch_1", body is null ? default(HttpStatusCode?) : HttpStatusCode.OK, body ?? ""))])
        {
            OnAsked = _ => _terminal!.Clock.Advance(TimeSpan.FromSeconds(1)),
        };
        _terminal = new TestTerminal(isTerminal, 120, gateway);
        return await Tool.RunAsync(["batch", "show", "batch_1", "--wait"], _terminal.Terminal with { Progress = isTerminal ? _terminal.Terminal.Output : _terminal.Terminal.Progress }, TestContext.Current.CancellationToken).WithinLimitAsync();
    }

    private static string Batch(string status, int completed, int failed) => string.Create(CultureInfo.InvariantCulture, $$$"""
        {"id": "batch_1", "endpoint": "/v1/chat/completions", "status": "{{{status}}}", "input_file_id": "file-1", "created_at": 1767270600, "expires_at": 1767357000,
         "request_counts": {"total": 2000, "completed": {{{completed}}}, "failed": {{{failed}}}}}
        """);
}
