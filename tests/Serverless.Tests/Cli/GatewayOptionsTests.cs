using Serverless.Cli.Shell;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class GatewayOptionsTests
{
    private static readonly string[][] Commands =
    [
        ["chat"], ["pools"], ["explain"], ["dead-letters", "list"], ["dead-letters", "show", "chatcmpl-1"], ["dead-letters", "redrive", "chatcmpl-1"], ["dead-letters", "remove", "chatcmpl-1"],
        ["batch", "list"], ["batch", "show", "batch_1"], ["batch", "cancel", "batch_2"], ["batch", "results", "batch_1"],
    ];

    public static TheoryData<string> Lines => [.. Commands.Select(words => string.Join(' ', words))];

    [Theory]
    [MemberData(nameof(Lines))]
    public async Task Every_command_that_asks_a_gateway_takes_its_address_and_key_from_options(string line)
    {
        var gateway = Answers.Gateway();
        var terminal = new TestTerminal(isTerminal: false, 80, gateway, variables: [("SERVERLESS_URL", "http://other"), ("SERVERLESS_API_KEY", "sk-other")]);

        await terminal.RunAsync([.. line.Split(' '), "--url", "https://host:444/llm/v1/", "--api-key", "sk-given"]);

        gateway.Asked.ShouldNotBeEmpty();
        gateway.Asked.ShouldAllBe(request => request.RequestUri!.ToString().StartsWith("https://host:444/llm/") && request.Headers.Authorization!.Parameter == "sk-given");
    }

    [Theory]
    [MemberData(nameof(Lines))]
    public async Task Every_command_that_asks_a_gateway_takes_its_address_and_key_from_the_environment(string line)
    {
        var gateway = Answers.Gateway();
        var terminal = new TestTerminal(isTerminal: false, 80, gateway, variables: [("SERVERLESS_URL", "host:8081/v1"), ("SERVERLESS_API_KEY", "sk-given\n")]);

        var code = await terminal.RunAsync(line.Split(' '));

        code.ShouldBe(ExitCode.Done, terminal.Error);
        gateway.Asked.ShouldAllBe(request => request.RequestUri!.ToString().StartsWith("http://host:8081/") && request.Headers.Authorization!.Parameter == "sk-given");
    }

    [Fact]
    public async Task A_faulty_address_of_the_environment_is_told_by_its_name()
    {
        var terminal = new TestTerminal(isTerminal: false, 80, Answers.Gateway(), variables: ("SERVERLESS_URL", "ftp://x"));

        (await terminal.RunAsync("pools")).ShouldBe(ExitCode.Usage);

        terminal.Error.ShouldStartWith("SERVERLESS_URL is 'ftp://x', which is no address of a gateway; write http://host:port");
    }

    [Fact]
    public async Task A_key_that_is_none_is_not_repeated()
    {
        var terminal = new TestTerminal(isTerminal: false, 80, Answers.Gateway());

        (await terminal.RunAsync("pools", "--api-key", "sk-one\nsk-two")).ShouldBe(ExitCode.Usage);

        terminal.Error.ShouldStartWith("The API key (--api-key) holds a blank");
        terminal.Error.ShouldNotContain("sk-");
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080", false)]
    [InlineData("http://localhost", false)]
    [InlineData("http://[::1]:9000", false)]
    [InlineData("http://models.example.com", true)]
    public void A_gateway_of_this_machine_is_not_reached_through_a_proxy(string server, bool throughProxy)
    {
        using var handler = new Terminal { Output = Spectre.Console.AnsiConsole.Console, Progress = Spectre.Console.AnsiConsole.Console, Error = TextWriter.Null, Input = TextReader.Null, Variable = _ => null }.Connect(new Uri(server)).ShouldBeOfType<SocketsHttpHandler>();

        handler.UseProxy.ShouldBe(throughProxy);
        handler.AllowAutoRedirect.ShouldBeFalse("it would go on without the key, and with GET where it was POST");
    }

    [Theory]
    [InlineData("https://host/llm/admin/pools", "https://host/llm/")]
    [InlineData("/login", "http://127.0.0.1:8080/login")]
    public async Task A_gateway_that_has_moved_is_told_with_where_to(string location, string address)
    {
        var terminal = new TestTerminal(isTerminal: false, 80, new CannedGateway(("GET /admin/pools", System.Net.HttpStatusCode.PermanentRedirect, location)));

        (await terminal.RunAsync("pools", "--api-key", "sk-abc")).ShouldBe(ExitCode.Failed);

        terminal.Error.ShouldBe($"308: http://127.0.0.1:8080/ has moved to {address}; give that with --url or SERVERLESS_URL.\n");
    }

    /// <summary>Whatever a server says, or somebody through it, is shown and not obeyed: no clipboard is filled, no screen cleared, no line turned.</summary>
    [Theory]
    [InlineData("chat")]
    [InlineData("chat --model nope")]
    [InlineData("pools")]
    [InlineData("pools --output json")]
    [InlineData("explain")]
    [InlineData("explain nope")]
    [InlineData("dead-letters list")]
    [InlineData("dead-letters show chatcmpl-1")]
    [InlineData("dead-letters redrive chatcmpl-1")]
    [InlineData("dead-letters remove chatcmpl-9")]
    [InlineData("batch list")]
    [InlineData("batch show batch_1")]
    [InlineData("batch results batch_1")]
    public async Task What_came_over_the_wire_is_not_obeyed_by_a_terminal(string line)
    {
        const string Evil = @"\u001b]52;c;ZXZpbA==\u0007\u001b[2J\u009b2J\u202e\r";
        var gateway = Answers.Saying(Evil);
        var terminal = new TestTerminal(isTerminal: true, 200, gateway, input: "Hello\n", variables: ("NO_COLOR", "1"));

        await terminal.RunAsync(line.Split(' '));

        gateway.Asked.ShouldNotBeEmpty();
        var shown = terminal.Output + terminal.Error;
        shown.ShouldContain("ZXZpbA==");
        shown.Where(letter => char.IsControl(letter) && letter != '\n').ShouldBeEmpty();
        if (line is not ("chat" or "dead-letters show chatcmpl-1" or "batch results batch_1")) shown.Contains('\u202e').ShouldBeFalse("an answer, or a prompt, may be written from right to left");
    }

    [Fact]
    public async Task Into_a_file_an_answer_goes_as_it_came()
    {
        var terminal = new TestTerminal(isTerminal: false, 80, Answers.Saying(@"\u001b[1mbold\u001b[0m"), input: "Hello\n");

        (await terminal.RunAsync("chat")).ShouldBe(ExitCode.Done);

        terminal.Output.ShouldStartWith("\e[1mbold\e[0m");
    }

    /// <summary>As <c>| head -c 10</c> is: what is generated on is generated for nobody.</summary>
    [Fact]
    public async Task An_answer_that_nobody_reads_any_more_ends_the_command()
    {
        var test = new TestTerminal(isTerminal: false, 80, Answers.Gateway(), input: "Hello\nAnd again\n");

        (await Serverless.Cli.Commands.Tool.RunAsync(["chat"], test.Terminal with { IsReaderGone = () => test.Output.Length > 0 }, TestContext.Current.CancellationToken)).ShouldBe(ExitCode.Done);

        test.Output.ShouldBe("Hot's opposite");
    }

    /// <summary>Tables have no model to wait for.</summary>
    [Theory]
    [InlineData("pools")]
    [InlineData("dead-letters redrive chatcmpl-1")]
    public async Task A_server_that_hangs_is_not_waited_for_for_ever(string line)
    {
        var hanging = new Hanging();
        var terminal = new TestTerminal(isTerminal: false, 80, hanging);
        var running = terminal.RunAsync(line.Split(' '));
        await hanging.Asked.Task.WithinLimitAsync();

        terminal.Clock.Advance(TimeSpan.FromSeconds(30));

        (await running.WithinLimitAsync()).ShouldBe(ExitCode.Failed);
        terminal.Error.ShouldBe("http://127.0.0.1:8080/ did not answer within 30 s. Try again, or give another address with --url or SERVERLESS_URL.\n");
    }

    [Fact]
    public async Task A_url_that_no_gateway_has_is_told_with_the_option()
    {
        const string Unknown = """{"error": {"message": "Unknown request URL: GET /api/admin/pools.", "code": "unknown_url"}}""";
        var terminal = new TestTerminal(isTerminal: false, 80, new CannedGateway(("GET /api/admin/pools", System.Net.HttpStatusCode.NotFound, Unknown)));

        (await terminal.RunAsync("pools", "--url", "http://host/api")).ShouldBe(ExitCode.Failed);

        terminal.Error.ShouldBe("404: Unknown request URL: GET /api/admin/pools. Give the address of a gateway with --url or SERVERLESS_URL.\n");
    }

    [Theory]
    [InlineData("<html>Welcome</html>")]
    [InlineData("[]")]
    [InlineData("{}")]
    public async Task What_is_no_gateway_is_told_so(string body)
    {
        var terminal = new TestTerminal(isTerminal: false, 80, new CannedGateway(("GET /admin/pools", System.Net.HttpStatusCode.OK, body)));

        (await terminal.RunAsync("pools")).ShouldBe(ExitCode.Failed);

        terminal.Error.ShouldBe("http://127.0.0.1:8080/admin/pools answers, but not as a gateway does. Give the address of a gateway with --url.\n");
    }

    [Theory]
    [InlineData("chat --model tiny", "v1/chat/completions", "data: <html>")]
    [InlineData("chat --model tiny", "v1/chat/completions", "data: {}")]
    [InlineData("chat --model tiny", "v1/chat/completions", "data: {\"choices\": [{\"delta\": {\"content\": 7}}]}")]
    [InlineData("chat --model tiny", "v1/chat/completions", "<html>Welcome</html>")]
    [InlineData("dead-letters redrive chatcmpl-1", "admin/dead-letters/chatcmpl-1/redrive", "<html>Welcome</html>")]
    [InlineData("dead-letters redrive chatcmpl-1", "admin/dead-letters/chatcmpl-1/redrive", "{}")]
    [InlineData("dead-letters remove chatcmpl-1", "admin/dead-letters/chatcmpl-1", "<html>Welcome</html>")]
    [InlineData("batch show batch_1", "v1/batches/batch_1", "{}")]
    [InlineData("batch cancel batch_1", "v1/batches/batch_1/cancel", "<html>Welcome</html>")]
    [InlineData("dead-letters show chatcmpl-1", "admin/dead-letters/chatcmpl-1", "{\"id\": \"chatcmpl-1\", \"error\": \"x\", \"message\": \"x\", \"attempts\": 1, \"created_at\": 9223372036854775807}")]
    public async Task What_is_no_gateway_is_told_so_whatever_was_asked(string line, string path, string body)
    {
        var terminal = new TestTerminal(isTerminal: false, 80, Answers.Instead($"/{path}", body), input: "Hello\n");

        (await terminal.RunAsync(line.Split(' '))).ShouldBe(ExitCode.Failed);

        terminal.Error.ShouldBe($"http://127.0.0.1:8080/{path} answers, but not as a gateway does. Give the address of a gateway with --url.\n");
    }

    private sealed class Hanging : HttpMessageHandler
    {
        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Asked.TrySetResult();
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
            throw new InvalidOperationException();
        }
    }
}
