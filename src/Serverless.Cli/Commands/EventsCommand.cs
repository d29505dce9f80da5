using System.CommandLine;
using Serverless.Cli.Client;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless events tail | send</c>: the events of a running gateway as they pass, and one more.</summary>
internal static class EventsCommand
{
    private const string Input = "-";

    public static Command Create(Terminal terminal) => new ToolCommand("events", "CloudEvents of a running gateway: watch them pass, send one.", "serverless events tail --topic serverless.results")
    {
        Tail(terminal),
        Send(terminal),
    };

    private static ToolCommand Tail(Terminal terminal)
    {
        var topics = new Option<string[]>("--topic") { Description = "Of this topic; may be given again. All if not given.", HelpName = "TOPIC" };
        var limit = new Option<int?>("--limit") { Description = "End after so many.", HelpName = "N", CustomParser = Numbers.MaybeBetween(1, int.MaxValue) };
        var output = OutputOption.Create();
        var command = new ToolCommand(
            "tail",
            "Show the events that the gateway takes and publishes, as they pass; with -o json a CloudEvent a line.",
            "serverless events tail",
            "serverless events tail --topic serverless.results -o json | jq .data.status") { topics, limit, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            await new EventTail(terminal, new EventCalls(client), parsed.IsJson(output)).RunAsync(parsed.GetValue(topics) ?? [], parsed.GetValue(limit), cancellationToken);
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand Send(Terminal terminal)
    {
        var file = new Argument<string>("file") { Description = "A CloudEvent in its JSON format, or the data of one; - for standard input." };
        var topic = new Option<string>("--topic") { Description = "On which topic.", HelpName = "TOPIC", DefaultValueFactory = _ => "serverless.requests" };
        var id = new Option<string?>("--id") { Description = "Its id; that of the file, or a new one, if not given.", HelpName = "ID" };
        var source = new Option<string?>("--source") { Description = "Its source; that of the file, or /serverless/cli, if not given.", HelpName = "URI" };
        var type = new Option<string?>("--type") { Description = "Its type; that of the file, or dev.serverless.request.asked, if not given.", HelpName = "TYPE" };
        var wait = new Option<bool>("--wait") { Description = "Wait for its result, and show it." };
        var output = OutputOption.Create();
        var command = new ToolCommand(
            "send",
            "Send one event, and show whether it was taken. The same id again is the same request.",
            "serverless events send order.json --wait",
            "serverless events send - --id order-7 --source /shop < data.json") { file, topic, id, source, type, wait, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var sent = SentEvent.Read(await ReadAsync(terminal, parsed.GetValue(file)!, cancellationToken), parsed.GetValue(file) is Input ? "Standard input" : parsed.GetValue(file)!, parsed.GetValue(id), parsed.GetValue(source), parsed.GetValue(type));
            var request = await SendAsync(new EventCalls(client), parsed.GetValue(topic)!, sent, parsed.GetValue(wait), cancellationToken);
            return Print(terminal, sent, request, parsed.GetValue(wait), parsed.IsJson(output));
        });
        return command;
    }

    private static async Task<string> ReadAsync(Terminal terminal, string path, CancellationToken cancellationToken)
    {
        if (path == Input) return await terminal.Input.ReadToEndAsync(cancellationToken);
        try
        {
            return await File.ReadAllTextAsync(path, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ToolException($"{path} cannot be read: {exception.Message} Give a file that holds an event, or - for standard input.", exception);
        }
    }

    /// <summary>To wait, it is sent again and again: the same event is the same request, whichever gateway has it.</summary>
    private static async Task<EventRequestRow> SendAsync(EventCalls calls, string topic, SentEvent sent, bool wait, CancellationToken cancellationToken)
    {
        EventRequestRow request;
        do request = await calls.SendAsync(topic, sent.Json, wait, cancellationToken);
        while (wait && !request.HasEnded);
        return request;
    }

    private static int Print(Terminal terminal, SentEvent sent, EventRequestRow request, bool waited, bool asJson)
    {
        if (asJson) JsonText.Write(terminal, request.Json);
        else if (!waited) terminal.Write($"{sent.Id} is taken as {request.Id}, which is {request.Status}");
        else if (request.Error is { } error) terminal.Write($"{request.Id} {request.Status}: {error}");
        else if (request.Answer is { } answer) terminal.WriteAnswer($"{answer}\n");
        else terminal.Write($"{request.Id} is {request.Status}");
        return waited && request.Status != "completed" ? ExitCode.Failed : ExitCode.Done;
    }
}
