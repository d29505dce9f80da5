using System.CommandLine;
using System.CommandLine.Parsing;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.Cli.Commands;

/// <summary>Addresses that commands share: the gateway's <c>--url</c>, the broker's <c>--broker</c>.</summary>
internal static class ServerOption
{
    public static Option<Uri> Create() => new("--url")
    {
        Description = "The gateway to talk to.",
        DefaultValueFactory = _ => new Uri("http://127.0.0.1:8080"),
        CustomParser = result => Parse(result, "no address of a gateway; write http://host:port", "http", "https"),
    };

    public static Option<Uri> CreateBroker() => new("--broker")
    {
        Description = "Whose queues to declare.",
        DefaultValueFactory = _ => new RabbitMqOptions().Url,
        CustomParser = result => Parse(result, "no address of a broker; write amqp://user:password@host:port/vhost", "amqp", "amqps"),
    };

    private static Uri? Parse(ArgumentResult result, string fault, params string[] schemes)
    {
        var text = result.Tokens[0].Value;
        if (Uri.TryCreate(text, UriKind.Absolute, out var server) && schemes.Contains(server.Scheme)) return server;

        result.AddError($"'{text}' is {fault}.");
        return null;
    }
}
