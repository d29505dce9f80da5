using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Configuration;
using Serverless.Cli.Embedded;
using Serverless.Cli.Shell;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class FaultsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-faults-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("Gateway:Admission:MaxChoices", "0", "Gateway:Admission:MaxChoices is '0'; it must be between 1 and 65536. It comes from the environment (Gateway__Admission__MaxChoices) or appsettings.json.")]
    [InlineData("Gateway:Admission:MaxChoices", "many", "Gateway:Admission:MaxChoices is 'many', which is no whole number in range. It comes from the environment (Gateway__Admission__MaxChoices) or appsettings.json.")]
    [InlineData("Gateway:Streaming:DrainTimeout", "long", "Gateway:Streaming:DrainTimeout is 'long', which is no duration (hh:mm:ss). It comes from the environment (Gateway__Streaming__DrainTimeout) or appsettings.json.")]
    [InlineData("Gateway:Access:AdminUrl", "here", "Gateway:Access:AdminUrl is 'here'; give an http address with an IP address and a port, such as http://127.0.0.1:9000.")]
    public void A_setting_is_told_by_its_key(string key, string value, string sentence)
    {
        var exception = Should.Throw<Exception>(() => EmbeddedHost.Build(new EmbeddedOptions { Quiet = true }, builder => builder.Configuration[key] = value));

        Faults.Sentences(exception).ShouldBe([sentence]);
    }

    [Fact]
    public void All_faults_of_settings_are_told_at_once()
    {
        var exception = Should.Throw<Exception>(() => EmbeddedHost.Build(new EmbeddedOptions { Quiet = true }, builder =>
        {
            builder.Configuration["Gateway:Admission:MaxChoices"] = "0";
            builder.Configuration["Gateway:Streaming:FirstNotice"] = "00:01:00";
        }));

        exception.ShouldBeOfType<ToolException>().Message.Split('\n').Length.ShouldBe(2);
    }

    [Fact]
    public void A_broken_settings_file_is_told_with_its_place()
    {
        var path = Path.Combine(_folder.FullName, "appsettings.json");
        File.WriteAllText(path, "{bad");
        var exception = Should.Throw<InvalidDataException>(() => new ConfigurationBuilder().AddJsonFile(path).Build());

        var sentence = Faults.Sentences(exception).ShouldHaveSingleItem();

        sentence.ShouldStartWith($"{path} is no JSON: 'b' is an invalid start of a property name.");
        sentence.ShouldEndWith("LineNumber: 0 | BytePositionInLine: 1. Mend it, or start in a folder without one.");
    }

    [Theory]
    [InlineData("--port")]
    [InlineData("--keda-port")]
    public async Task A_port_that_is_taken_is_told_by_the_option_that_gave_it(string option)
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var taken = ((IPEndPoint)other.LocalEndpoint).Port;
        var terminal = new TestTerminal(isTerminal: false, 80);

        var code = await terminal.RunAsync(["up", "--data", _folder.FullName, "--port", option == "--port" ? $"{taken}" : "0", .. option == "--port" ? [] : new[] { option, $"{taken}" }]);

        code.ShouldBe(ExitCode.Failed);
        terminal.Error.ShouldBe($"{option} {taken} is taken by another process; stop that one, or give another with {option}.\n");
    }

    [Fact]
    public async Task An_address_of_another_machine_is_told()
    {
        File.WriteAllText(Path.Combine(_folder.FullName, "keys"), Serverless.Tenancy.ApiKeyTable.Create("a", "b", admin: false).Line);
        var terminal = new TestTerminal(isTerminal: false, 80);

        (await terminal.RunAsync("up", "--data", _folder.FullName, "--host", "192.0.2.1", "--port", "0", "--keys", Path.Combine(_folder.FullName, "keys"))).ShouldBe(ExitCode.Failed);

        terminal.Error.ShouldBe("--host 192.0.2.1 is no address of this machine; give one that is, or 0.0.0.0 for all of them.\n");
    }

    [Theory]
    [InlineData("", "holds no key")]
    [InlineData("# none yet\n", "holds no key")]
    [InlineData("not-a-key acme\n", "line 1: it has 2 fields")]
    public async Task A_file_of_keys_that_lets_nobody_in_is_told(string text, string fault)
    {
        var keys = Path.Combine(_folder.FullName, "keys");
        File.WriteAllText(keys, text);
        var terminal = new TestTerminal(isTerminal: false, 80);

        (await terminal.RunAsync("up", "--data", _folder.FullName, "--keys", keys)).ShouldBe(ExitCode.Failed);

        terminal.Error.ShouldStartWith($"--keys {keys}");
        terminal.Error.ShouldContain(fault);
    }

    [Fact]
    public void Nothing_is_told_by_its_stack()
    {
        Exception[] exceptions = [new InvalidOperationException("Odd."), new AggregateException(new IOException("Disk is full"), new FormatException("Not so.")), new NotSupportedException("x", new IOException("y")), new SocketException(13)];

        foreach (var sentence in exceptions.SelectMany(exception => Faults.Sentences(exception)))
        {
            sentence.ShouldNotContain(" at ");
            sentence.ShouldNotContain("\n");
            sentence.ShouldEndWith(".");
        }
    }

    [Theory]
    [InlineData("--debug", null)]
    [InlineData(null, "1")]
    public async Task A_stack_is_shown_to_who_asks_for_it(string? option, string? variable)
    {
        var variables = variable is null ? [] : new[] { (Faults.DebugVariable, variable) };
        var terminal = new TestTerminal(isTerminal: false, 80, CannedGateway.Unreachable, variables: variables);

        await terminal.RunAsync(["pools", .. option is null ? [] : new[] { option }]);

        terminal.Error.ShouldContain("   at Serverless.Cli.Client.ServingClient");
    }
}
