using System.Text.Json;
using Shouldly;

namespace Serverless.Tests.Cli;

/// <summary>What a request does not say is the model's to say: only what the user set is sent.</summary>
public sealed class ChatSettingsTests
{
    [Theory]
    [InlineData("", null)]
    [InlineData("--temperature 0", 0.0)]
    [InlineData("--temperature 0.7", 0.7)]
    public async Task Chat_sends_a_temperature_only_where_one_was_given(string options, double? expected)
    {
        var gateway = Answers.Gateway();
        var terminal = new TestTerminal(isTerminal: false, 80, gateway, "Hello!\n");

        (await terminal.RunAsync(["chat", "--model", "tiny", .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)])).ShouldBe(0);

        using var body = JsonDocument.Parse(gateway.Bodies[^1]);
        var names = body.RootElement.EnumerateObject().Select(field => field.Name).ToArray();
        names.Except(["temperature"]).ShouldBe(["model", "stream", "stream_options", "messages"], ignoreOrder: true, "nothing but what was said, and how to answer");
        names.Contains("temperature").ShouldBe(expected is not null);
        if (expected is { } temperature) body.RootElement.GetProperty("temperature").GetDouble().ShouldBe(temperature);
    }
}
