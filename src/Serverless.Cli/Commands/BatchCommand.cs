using System.CommandLine;
using System.Globalization;
using Serverless.Cli.Client;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless batch submit | list | show | cancel | results</c>: files of requests that are answered within a day.</summary>
internal static class BatchCommand
{
    private const int MostListed = 100;

    public static Command Create(Terminal terminal) => new ToolCommand("batch", "Files of requests that are answered within a day: submit one, look at it, cancel it, get its answers.", "serverless batch submit requests.jsonl --wait")
    {
        Submit(terminal),
        List(terminal),
        ShowOne(terminal),
        Cancel(terminal),
        Results(terminal),
    };

    private static ToolCommand Submit(Terminal terminal)
    {
        var file = new Argument<string>("file") { Description = "Requests as JSON lines, each with custom_id, method, url and body." };
        var endpoint = new Option<string>("--endpoint") { Description = "What all lines ask for.", HelpName = "PATH", DefaultValueFactory = _ => "/v1/chat/completions" };
        var window = new Option<string>("--window") { Description = "Within what time, from 1m to 7d.", HelpName = "TIME", DefaultValueFactory = _ => "24h" };
        var wait = new Option<bool>("--wait") { Description = "Wait for its end, and show how far it is." };
        var output = OutputOption.Create();
        var command = new ToolCommand("submit", "Upload a file of requests and make a batch of it.", "serverless batch submit requests.jsonl", "serverless batch submit requests.jsonl --window 2h --wait") { file, endpoint, window, wait, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var calls = new BatchCalls(client);
            var batch = await SubmitAsync(calls, parsed.GetValue(file)!, parsed.GetValue(endpoint)!, parsed.GetValue(window)!, cancellationToken);
            if (!parsed.GetValue(wait))
            {
                if (parsed.IsJson(output)) JsonText.Write(terminal, batch.Json);
                else terminal.Write($"{batch.Id} is {batch.Status}; 'serverless batch show {batch.Id}' tells how far it is");
                return ExitCode.Done;
            }

            terminal.Fault($"{batch.Id} is {batch.Status}; it goes on without this command");
            batch = await new BatchWait(terminal, calls).RunAsync(batch.Id, cancellationToken);
            return Print(terminal, batch, parsed.IsJson(output));
        });
        return command;
    }

    private static ToolCommand List(Terminal terminal)
    {
        var limit = new Option<int>("--limit") { Description = "At most so many, the newest first.", HelpName = "N", DefaultValueFactory = _ => 20, CustomParser = Numbers.Between(1, MostListed) };
        var output = OutputOption.Create();
        var command = new ToolCommand("list", "List them, the newest first.", "serverless batch list", "serverless batch list --output json | jq -r '.data[].id'") { limit, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var batches = await new BatchCalls(client).ListAsync(parsed.GetValue(limit), cancellationToken);
            if (parsed.IsJson(output)) JsonText.Write(terminal, new { data = batches.Select(batch => batch.Json) });
            else if (batches.Count == 0) terminal.Write("No batches.");
            else terminal.WriteTable(Columns.Lines(["id", "status", "created", "done", "failed", "lines", "model"], batches.Select(batch => Cells(terminal, batch)), 3..6, terminal.Output.Profile.Width));
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand ShowOne(Terminal terminal)
    {
        var id = Id();
        var wait = new Option<bool>("--wait") { Description = "Wait for its end, and show how far it is." };
        var output = OutputOption.Create();
        var command = new ToolCommand("show", "Show one: how far it is, its files, what is wrong with its lines.", "serverless batch show batch_0123", "serverless batch show batch_0123 --wait") { id, wait, output };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var calls = new BatchCalls(client);
            return parsed.GetValue(wait)
                ? Print(terminal, await new BatchWait(terminal, calls).RunAsync(parsed.GetValue(id)!, cancellationToken), parsed.IsJson(output))
                : Show(terminal, await calls.GetAsync(parsed.GetValue(id)!, cancellationToken), parsed.IsJson(output));
        });
        return command;
    }

    private static ToolCommand Cancel(Terminal terminal)
    {
        var ids = new Argument<string[]>("id") { Description = "As list shows them.", Arity = ArgumentArity.OneOrMore };
        var command = new ToolCommand("cancel", "Give them up: what was answered is kept.", "serverless batch cancel batch_0123") { ids };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            foreach (var id in parsed.GetValue(ids)!) terminal.Write($"{id} is {(await new BatchCalls(client).CancelAsync(id, cancellationToken)).Status}");
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand Results(Terminal terminal)
    {
        var id = Id();
        var errors = new Option<bool>("--errors") { Description = "The lines that were not answered instead, with the reasons." };
        var command = new ToolCommand("results", "Print the answers of a batch, a JSON line each.", "serverless batch results batch_0123", "serverless batch results batch_0123 --errors") { id, errors };
        var gateway = GatewayOptions.AddTo(command, terminal);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = gateway.Connect(parsed);
            var calls = new BatchCalls(client);
            var batch = await calls.GetAsync(parsed.GetValue(id)!, cancellationToken);
            if (!batch.HasEnded) throw new ToolException($"{batch.Id} is {batch.Status}; its answers are there when it is at its end. 'serverless batch show {batch.Id} --wait' waits for that.");
            if ((parsed.GetValue(errors) ? batch.ErrorFileId : batch.OutputFileId) is not { } file) return ExitCode.Done;

            await foreach (var line in calls.LinesAsync(file, cancellationToken))
            {
                terminal.WriteAnswer($"{line}\n");
                terminal.ThrowIfReaderIsGone();
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static Argument<string> Id() => new("id") { Description = "As list shows it." };

    private static async Task<BatchRow> SubmitAsync(BatchCalls calls, string path, string endpoint, string window, CancellationToken cancellationToken)
    {
        FileStream content;
        try
        {
            content = File.OpenRead(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ToolException($"{path} cannot be read: {exception.Message} Give a file of requests.", exception);
        }

        await using (content) return await calls.CreateAsync(await calls.UploadAsync(content, Path.GetFileName(path), cancellationToken), endpoint, window, cancellationToken);
    }

    private static string[] Cells(Terminal terminal, BatchRow batch) =>
        [batch.Id, batch.Status, terminal.Local(batch.CreatedAt), Number(batch.Completed), Number(batch.Failed), Number(batch.Total), batch.Model ?? ""];

    /// <summary>One at its end: what is not completed has failed.</summary>
    private static int Print(Terminal terminal, BatchRow batch, bool asJson)
    {
        Show(terminal, batch, asJson);
        return batch.Status == "completed" ? ExitCode.Done : ExitCode.Failed;
    }

    private static int Show(Terminal terminal, BatchRow batch, bool asJson)
    {
        if (asJson)
        {
            JsonText.Write(terminal, batch.Json);
            return ExitCode.Done;
        }

        terminal.Write($"id:       {batch.Id}");
        terminal.Write($"status:   {batch.Status}");
        terminal.Write($"lines:    {Number(batch.Completed)} of {Number(batch.Total)} answered, {Number(batch.Failed)} failed");
        terminal.Write($"endpoint: {batch.Endpoint}{(batch.Model is { } model ? $", {model}" : "")}");
        terminal.Write($"created:  {terminal.Local(batch.CreatedAt)}, expires {terminal.Local(batch.ExpiresAt)}");
        terminal.Write($"input:    {batch.InputFileId}");
        if (batch.OutputFileId is { } output) terminal.Write($"output:   {output}");
        if (batch.ErrorFileId is { } errors) terminal.Write($"errors:   {errors}");
        foreach (var error in batch.Errors) terminal.Write($"fault:    {error}");
        return ExitCode.Done;
    }

    private static string Number(int count) => count.ToString("N0", CultureInfo.InvariantCulture);
}
