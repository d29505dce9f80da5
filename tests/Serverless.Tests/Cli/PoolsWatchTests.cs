using System.Net;
using Serverless.Cli.Shell;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class PoolsWatchTests
{
    private const string Route = "GET /admin/pools";

    private readonly CancellationTokenSource _interrupted = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private TestTerminal? _terminal;

    [Fact]
    public async Task A_pipe_gets_a_line_per_change()
    {
        var terminal = await WatchAsync(isTerminal: false, [], Pool("zero", 0, 0), Pool("zero", 0, 0), Pool("starting", 1, 0), Pool("ready", 1, 1), "{\"pools\": []}");

        terminal.Output.ShouldBe("""
            14:30:11 tiny-cpu zero 0/0: why zero
            14:30:13 tiny-cpu zero 0/0 → starting 0/1: why starting
            14:30:14 tiny-cpu starting 0/1 → ready 1/1: why ready
            14:30:15 tiny-cpu is gone

            """.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task A_terminal_is_drawn_over()
    {
        var terminal = await WatchAsync(isTerminal: true, ["NO_COLOR"], Pool("zero", 0, 0), Pool("starting", 1, 0));

        terminal.Output.Replace('\e', '␛').ShouldBe("""
            pool      state  ready  pending  running   KV  last decision
            tiny-cpu  zero     0/0        0        0  0 %  why zero
            at 14:30:11; Ctrl+C ends
            ␛[3A␛[Jpool      state     ready  pending  running   KV  last decision
            tiny-cpu  starting    0/1        0        0  0 %  why starting
            at 14:30:12; Ctrl+C ends

            """.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Programs_get_a_line_of_json_per_change()
    {
        var terminal = await WatchAsync(isTerminal: false, [], ["--output", "json"], Pool("zero", 0, 0), Pool("zero", 0, 0), Pool("ready", 1, 1));

        terminal.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement.GetProperty("state").GetString()).ShouldBe(["zero", "ready"]);
    }

    [Fact]
    public async Task A_gateway_that_goes_away_is_waited_for()
    {
        var terminal = await WatchAsync(isTerminal: false, [], Pool("ready", 1, 1), null, null, Pool("ready", 1, 1));

        terminal.Error.ShouldBe("""
            14:30:12 no answer from http://127.0.0.1:8080/ since 14:30:12; trying again
            14:30:14 http://127.0.0.1:8080/ answers again

            """.ReplaceLineEndings("\n"));
        terminal.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(1);
    }

    [Theory]
    [InlineData(HttpStatusCode.BadGateway)]
    [InlineData(HttpStatusCode.ServiceUnavailable)]
    [InlineData(HttpStatusCode.GatewayTimeout)]
    public async Task What_a_proxy_says_of_a_gateway_that_restarts_is_no_end(HttpStatusCode status)
    {
        using var interrupted = _interrupted;
        var gateway = new CannedGateway((Route, HttpStatusCode.OK, Pool("ready", 1, 1)), (Route, status, "<html>nginx</html>"), (Route, HttpStatusCode.OK, Pool("ready", 1, 1))) { OnAsked = times => Pass(times, 3) };
        _terminal = new TestTerminal(isTerminal: false, 80, gateway);

        (await _terminal.RunUntilAsync(["pools", "--watch"], interrupted.Token).WithinLimitAsync()).ShouldBe(ExitCode.Interrupted);

        _terminal.Error.ShouldBe($"""
            14:30:12 {(int)status} from http://127.0.0.1:8080/ since 14:30:12; trying again
            14:30:13 http://127.0.0.1:8080/ answers again

            """.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Programs_are_told_of_a_pool_that_goes()
    {
        var terminal = await WatchAsync(isTerminal: false, [], ["--output", "json"], Pool("ready", 1, 1), "{\"pools\": []}");

        terminal.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1].ShouldBe("""{"name":"tiny-cpu","state":"gone"}""");
    }

    /// <summary>As after <c>| head -1</c>: nothing changes any more, so nothing is written that could fail.</summary>
    [Fact]
    public async Task It_ends_when_nobody_reads_what_it_tells()
    {
        using var interrupted = _interrupted;
        var looks = 0;
        _terminal = new TestTerminal(isTerminal: false, 80, new CannedGateway((Route, HttpStatusCode.OK, Pool("ready", 1, 1))) { OnAsked = _ => _terminal!.Clock.Advance(TimeSpan.FromSeconds(1)) });

        var code = await Serverless.Cli.Commands.Tool.RunAsync(["pools", "--watch"], _terminal.Terminal with { IsReaderGone = () => ++looks == 3 }, interrupted.Token).WithinLimitAsync();

        code.ShouldBe(ExitCode.Done);
        looks.ShouldBe(3);
    }

    /// <summary>A second for each look, and Ctrl+C after the last.</summary>
    private void Pass(int times, int looks)
    {
        if (times > looks) _interrupted.Cancel();
        else _terminal!.Clock.Advance(TimeSpan.FromSeconds(1));
    }

    private Task<TestTerminal> WatchAsync(bool isTerminal, string[] variables, params string?[] bodies) => WatchAsync(isTerminal, variables, [], bodies);

    /// <summary>Each look takes a second, and Ctrl+C comes after the last.</summary>
    private async Task<TestTerminal> WatchAsync(bool isTerminal, string[] variables, string[] options, params string?[] bodies)
    {
        using var interrupted = _interrupted;
        var gateway = new CannedGateway([.. bodies.Select(body => (Route, body is null ? default(HttpStatusCode?) : HttpStatusCode.OK, body ?? ""))])
        {
            OnAsked = times => Pass(times, bodies.Length),
        };
        _terminal = new TestTerminal(isTerminal, 80, gateway, variables: [.. variables.Select(name => (name, "1"))]);

        var code = await _terminal.RunUntilAsync(["pools", "--watch", .. options], interrupted.Token).WithinLimitAsync();

        code.ShouldBe(ExitCode.Interrupted, _terminal.Error);
        return _terminal;
    }

    private static string Pool(string state, int desired, int ready) => $$$"""
        {"pools": [{"name": "tiny-cpu", "model": "tiny", "state": "{{{state}}}", "desired": {{{desired}}}, "ready": {{{ready}}}, "pendingTokens": 0, "runningTokens": 0, "kvUsed": 0,
        "lastDecision": {"reasons": ["why {{{state}}}"]}}]}
        """;
}
