using System.Text.Json;
using Serverless.Cli.Client;
using Serverless.Cli.Shell;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless events tail</c>. A gateway that goes away after it was there is waited for; one that never was is a fault. It ends when nobody reads what it tells.</summary>
internal sealed class EventTail(Terminal terminal, EventCalls calls, bool asJson)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private bool _wasThere;
    private bool _isLost;

    /// <summary>Tells them as they pass.</summary>
    /// <param name="topics">Of these; none: of all.</param>
    /// <param name="limit">So many, and it ends; null: until it is ended.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task RunAsync(IReadOnlyList<string> topics, int? limit, CancellationToken cancellationToken)
    {
        var left = limit ?? int.MaxValue;
        while (true)
        {
            try
            {
                await foreach (var line in calls.TailAsync(topics, cancellationToken))
                {
                    Connected();
                    terminal.ThrowIfReaderIsGone();
                    if (line.Length == 0) continue;

                    Tell(line);
                    if (--left == 0) return;
                }
            }
            catch (ServingClientException exception) when (_wasThere && (exception.IsUnreachable || exception.Status is null))
            {
                // It may come back.
            }

            if (!_isLost) terminal.Fault($"{Now()} no answer from {calls.Server}; trying again. Events that pass meanwhile are not shown.");
            _isLost = _wasThere = true;
            await Task.Delay(Pause, terminal.Time, cancellationToken);
        }
    }

    private void Connected()
    {
        if (_isLost) terminal.Fault($"{Now()} {calls.Server} answers again");
        (_wasThere, _isLost) = (true, false);
    }

    private void Tell(string line)
    {
        EventRow told;
        try
        {
            using var json = JsonDocument.Parse(line);
            told = EventRow.Of(json.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new ServingClientException($"{calls.Server} answers, but not as a gateway does. Give the address of a gateway with --url.", exception) { Status = System.Net.HttpStatusCode.OK };
        }

        if (told.Missed is { } missed) terminal.Fault($"{missed} events passed faster than they were read, and are not shown.");
        if (asJson) JsonText.WriteLine(terminal, told.Json);
        else terminal.Write($"{terminal.Local(told.At ?? terminal.Time.GetUtcNow())} {told.Topic} {told.Type} {told.About}{(told.Detail is { } detail ? $": {detail}" : "")}");
    }

    private string Now() => terminal.Local(terminal.Time.GetUtcNow());
}
