using System.Text;
using System.Text.Json.Nodes;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>A stream as its client puts it together, over any number of connections.</summary>
internal sealed class ChaosStream(string expected)
{
    public const string Broken = "stream broken";

    private readonly StringBuilder _text = new();

    /// <summary>The request's id, once a part told it.</summary>
    public string? Id { get; private set; }

    /// <summary>The last part there is.</summary>
    public string? LastEventId { get; private set; }

    /// <summary>How the last connection ended.</summary>
    public ChaosTry? End { get; private set; }

    /// <summary>Reads a connection to its end.</summary>
    public async Task<ChaosTry> ReadAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        if (answer.Headers.TryGetValues("x-request-id", out var ids)) Id ??= ids.First();
        End = await ReadToEndAsync(answer, cancellationToken);
        if (End is { Retry: not null } && !expected.StartsWith(_text.ToString(), StringComparison.Ordinal)) End = Another();
        return End.Value;
    }

    private async Task<ChaosTry> ReadToEndAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        string? fault = null;
        string? id = null;
        try
        {
            using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(cancellationToken), Encoding.UTF8);
            while (await reader.ReadLineAsync(cancellationToken) is { } line)
            {
                if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
                else if (line == "data: [DONE]") return _text.ToString() == expected ? ChaosTry.Done : Another();
                else if (line.StartsWith("data: ", StringComparison.Ordinal)) fault = Take(JsonNode.Parse(line[6..])!) ?? fault;
                else if (line.Length == 0 && id is not null) (LastEventId, id) = (id, null); // a part that came whole
            }

            return ChaosTry.Wrong($"a stream ended cleanly without [DONE], after: {fault ?? _text.ToString()}");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            if (fault is null) return ChaosTry.Again(Broken);
            return fault.Contains("request_poisoned", StringComparison.Ordinal) ? ChaosTry.Wrong(fault) : ChaosTry.Again($"error event {ChaosTry.Code(fault)}");
        }
    }

    /// <summary>An error, if it is one.</summary>
    private string? Take(JsonNode part)
    {
        if (part["error"] is not null) return part.ToJsonString();

        _text.Append(part["choices"]?[0]?["delta"]?["content"]?.GetValue<string>());
        return null;
    }

    private ChaosTry Another() => ChaosTry.Wrong($"{Id} streamed another text than an undisturbed run: '{_text}' for '{expected}'");
}
