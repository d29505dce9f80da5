using System.Text.Json;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Reads a stream as a client would, and keeps what clients ignore.</summary>
internal sealed class SseReader(Stream stream) : IDisposable
{
    private readonly StreamReader _lines = new(stream);

    /// <summary>The next event: its id, its data, or its comment. Null at a clean end; throws where the connection was broken.</summary>
    public async Task<SseEvent?> ReadAsync()
    {
        var next = new SseEvent(null, null, null);
        while (await _lines.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (line.Length == 0) return next.Data is null ? throw new FormatException("A blank line without data before it: clients take it for an empty event.") : next;
            if (line.StartsWith(':')) return next == new SseEvent(null, null, null) ? next with { Comment = line[1..].Trim() } : throw new FormatException($"A comment within an event: {line}");
            else if (line.StartsWith("id: ", StringComparison.Ordinal)) next = next with { Id = line[4..] };
            else if (line.StartsWith("data: ", StringComparison.Ordinal)) next = next with { Data = line[6..] };
            else throw new FormatException($"Not a line of an event stream: {line}");
        }

        return null;
    }

    /// <summary>The next event that is not a comment.</summary>
    public async Task<SseEvent?> ReadDataAsync()
    {
        while (await ReadAsync() is { } next)
        {
            if (next.Data is not null) return next;
        }

        return null;
    }

    public void Dispose() => _lines.Dispose();

    internal sealed record SseEvent(string? Id, string? Data, string? Comment)
    {
        public JsonElement Json => JsonElement.Parse(Data!);
    }
}
