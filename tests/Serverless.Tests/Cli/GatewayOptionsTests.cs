using Serverless.Cli.Shell;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class GatewayOptionsTests
{
    private static readonly string[][] Commands =
    [
        ["chat"], ["pools"], ["explain"], ["dead-letters", "list"], ["dead-letters", "show", "chatcmpl-1"], ["dead-letters", "redrive", "chatcmpl-1"], ["dead-letters", "remove", "chatcmpl-1"],
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
}
