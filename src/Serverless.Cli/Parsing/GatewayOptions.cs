using System.CommandLine;
using Serverless.Cli.Client;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Parsing;

/// <summary>Which gateway a command talks to, and with which key: the same two options for every command that talks to one. A key from the environment stays out of process lists and histories.</summary>
internal sealed class GatewayOptions
{
    public const string UrlVariable = "SERVERLESS_URL";
    public const string KeyVariable = "SERVERLESS_API_KEY";

    private const string DefaultUrl = "http://127.0.0.1:8080";
    private const string UrlFault = "which is no address of a gateway; write http://host:port, with a path behind it where a proxy has one";

    private readonly Terminal _terminal;

    private readonly Option<Uri?> _url = new("--url")
    {
        Description = $"The gateway; {UrlVariable} or {DefaultUrl} if not given.",
        HelpName = "URL",
        CustomParser = result =>
        {
            if (Addresses.Gateway(result.Tokens[^1].Value) is { } server) return server;

            result.AddError($"--url is '{result.Tokens[^1].Value}', {UrlFault}.");
            return null;
        },
    };

    private readonly Option<string?> _key = new("--api-key") { Description = $"API key, if the gateway asks for one; {KeyVariable} if not given.", HelpName = "KEY" };

    private GatewayOptions(Terminal terminal) => _terminal = terminal;

    /// <summary>Gives a command the two options.</summary>
    public static GatewayOptions AddTo(Command command, Terminal terminal)
    {
        var options = new GatewayOptions(terminal);
        command.Options.Add(options._url);
        command.Options.Add(options._key);
        return options;
    }

    /// <summary>A client for what was given.</summary>
    /// <exception cref="ToolException">The environment names no gateway, or the key is none.</exception>
    public ServingClient Connect(ParseResult parsed)
    {
        var server = parsed.GetValue(_url) ?? FromEnvironment();
        var key = (parsed.GetValue(_key) ?? _terminal.Variable(KeyVariable))?.Trim();
        if (key is not null && !key.All(letter => letter is > ' ' and <= '~'))
        {
            throw new ToolException($"The API key ({(parsed.GetValue(_key) is null ? KeyVariable : "--api-key")}) holds a blank, a line break or a letter that no key has; give it as 'serverless keys create' printed it.") { ExitCode = ExitCode.Usage };
        }

        return new ServingClient(server, key, _terminal.Connect(server), _terminal.Time);
    }

    private Uri FromEnvironment()
    {
        var text = _terminal.Variable(UrlVariable) ?? DefaultUrl;
        return Addresses.Gateway(text) ?? throw new ToolException($"{UrlVariable} is '{text}', {UrlFault}.") { ExitCode = ExitCode.Usage };
    }
}
