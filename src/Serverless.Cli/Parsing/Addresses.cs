using System.CommandLine;
using System.Net;
using System.Text.RegularExpressions;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.Cli.Parsing;

/// <summary>Addresses as people write them.</summary>
internal static partial class Addresses
{
    public static Option<Uri> CreateBroker() => new("--broker")
    {
        Description = "Whose queues to declare.",
        HelpName = "URL",
        DefaultValueFactory = _ => new RabbitMqOptions().Url,
        CustomParser = result =>
        {
            var text = result.Tokens[^1].Value;
            if (Uri.TryCreate(text, UriKind.Absolute, out var broker) && broker.Scheme is "amqp" or "amqps") return broker;

            result.AddError($"--broker is '{text}', which is no address of a broker; write amqp://user:password@host:port/vhost.");
            return null;
        },
    };

    /// <summary>A gateway's address, ending in a slash; null if it is none. <c>host:port</c> will do, and so will an OpenAI client's, which ends in <c>/v1</c>, or a route's below it; a path before it is a prefix.</summary>
    public static Uri? Gateway(string text)
    {
        var whole = text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}";
        if (!Uri.TryCreate(whole, UriKind.Absolute, out var server) || server.Scheme is not ("http" or "https") || server.Host.Length == 0) return null;
        if (server.Query.Length > 0 || server.Fragment.Length > 0 || server.UserInfo.Length > 0) return null;

        return new UriBuilder(server) { Path = $"{Api().Replace(server.AbsolutePath, "").TrimEnd('/')}/" }.Uri;
    }

    /// <summary>Of a path, what is the API's: <c>/v1</c>, with a route of it or without.</summary>
    [GeneratedRegex("/+v1/*(/(chat|completions|models|requests)(/.*)?)?$", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Api();

    /// <summary>An address to listen on; null if it is none.</summary>
    public static IPAddress? Listen(string text) => text switch
    {
        "localhost" => IPAddress.Loopback,
        "*" => IPAddress.Any,
        _ when IPAddress.TryParse(text, out var address) && (text.Contains(':', StringComparison.Ordinal) || text.Count(letter => letter == '.') == 3) => address,
        _ => null,
    };
}
