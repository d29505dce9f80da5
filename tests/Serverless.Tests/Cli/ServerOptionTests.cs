using Serverless.Cli.Commands;
using Shouldly;
using Spectre.Console;

namespace Serverless.Tests.Cli;

public sealed class ServerOptionTests
{
    [Theory]
    [InlineData("amqp://guest:guest@127.0.0.1:5699/", true)]
    [InlineData("amqps://broker:5671/tenant", true)]
    [InlineData("http://127.0.0.1:15672", false)]
    [InlineData("127.0.0.1:5672", false)]
    public void A_broker_is_named_by_its_address(string address, bool good)
    {
        var errors = TopologyCommand.Create(AnsiConsole.Console).Parse(["--broker", address]).Errors;

        if (good) errors.ShouldBeEmpty();
        else errors.ShouldHaveSingleItem().Message.ShouldContain($"'{address}' is no address of a broker; write amqp://");
    }

    [Theory]
    [InlineData("list")]
    [InlineData("show", "id")]
    [InlineData("redrive", "id")]
    [InlineData("remove", "id")]
    public void Every_command_that_asks_a_gateway_takes_a_key(params string[] words)
    {
        DeadLettersCommand.Create(AnsiConsole.Console).Parse([.. words, "--api-key", "sk", "--url", "http://127.0.0.1:1"]).Errors.ShouldBeEmpty();
        ExplainCommand.Create(AnsiConsole.Console).Parse(["pool", "--api-key", "sk"]).Errors.ShouldBeEmpty();
    }
}
