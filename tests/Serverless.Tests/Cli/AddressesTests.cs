using Serverless.Cli.Commands;
using Serverless.Cli.Parsing;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class AddressesTests
{
    [Theory]
    [InlineData("amqp://guest:guest@127.0.0.1:5699/", true)]
    [InlineData("amqps://broker:5671/tenant", true)]
    [InlineData("http://127.0.0.1:15672", false)]
    [InlineData("127.0.0.1:5672", false)]
    public void A_broker_is_named_by_its_address(string address, bool good)
    {
        var errors = Tool.Create(new TestTerminal(isTerminal: false, 80).Terminal).Parse(["topology", "--broker", address]).Errors;

        if (good) errors.ShouldBeEmpty();
        else errors.ShouldHaveSingleItem().Message.ShouldContain($"'{address}', which is no address of a broker; write amqp://");
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080", "http://127.0.0.1:8080/")]
    [InlineData("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/")]
    [InlineData("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/")]
    [InlineData("https://host/llm", "https://host/llm/")]
    [InlineData("https://host/llm/v1/", "https://host/llm/")]
    [InlineData("https://host/v1beta", "https://host/v1beta/")]
    [InlineData("http://127.0.0.1:8080/V1", "http://127.0.0.1:8080/")]
    [InlineData("http://127.0.0.1:8080/v1/chat/completions", "http://127.0.0.1:8080/")]
    [InlineData("https://host/llm/v1/models/tiny", "https://host/llm/")]
    [InlineData("https://host/v1/llm", "https://host/v1/llm/")]
    [InlineData("localhost:9000", "http://localhost:9000/")]
    [InlineData("[::1]:9000/v1", "http://[::1]:9000/")]
    [InlineData("amqp://host", null)]
    [InlineData("http://", null)]
    [InlineData("", null)]
    [InlineData("http://host/?key=1", null)]
    [InlineData("http://user:secret@host", null)]
    public void A_gateway_is_named_as_people_and_other_clients_do(string text, string? address) => Addresses.Gateway(text)?.ToString().ShouldBe(address);

    [Theory]
    [InlineData("0.5ms", false)] // a timer has no such period
    [InlineData("0s", false)]
    [InlineData("169h", false)]
    [InlineData("1ms", true)]
    [InlineData("168h", true)]
    public void A_duration_is_one_that_a_timer_has(string text, bool good)
    {
        var errors = Tool.Create(new TestTerminal(isTerminal: false, 80).Terminal).Parse(["pools", "--watch", "--interval", text]).Errors;

        if (good) errors.ShouldBeEmpty();
        else errors.ShouldHaveSingleItem().Message.ShouldBe($"--interval is '{text}'; give a duration from 1ms to a week (168h), such as 90s, 5m or 1h.");
    }

    [Theory]
    [InlineData("localhost", "127.0.0.1")]
    [InlineData("0.0.0.0", "0.0.0.0")]
    [InlineData("*", "0.0.0.0")]
    [InlineData("::", "::")]
    [InlineData("192.168.0.7", "192.168.0.7")]
    [InlineData("8080", null)] // IPAddress would read 0.0.31.144
    [InlineData("example.com", null)]
    public void A_listener_has_an_address_of_this_machine(string text, string? address) => Addresses.Listen(text)?.ToString().ShouldBe(address);
}
