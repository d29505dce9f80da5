using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>The few calls the tool makes to a gateway; any OpenAI client can make the same.</summary>
internal sealed class ServingClient : IDisposable
{
    private const int LongestReason = 300;

    private readonly HttpClient _http;

    public ServingClient(Uri server, string? apiKey, HttpMessageHandler handler)
    {
        // A cold model may take minutes to its first token; the caller's cancellation is the limit.
        _http = new HttpClient(handler) { BaseAddress = server, Timeout = Timeout.InfiniteTimeSpan };
        if (apiKey is { Length: > 0 }) _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", apiKey);
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Where it is.</summary>
    public Uri Server => _http.BaseAddress!;

    /// <summary>The names of what is served.</summary>
    public Task<IReadOnlyList<string>> ModelsAsync(CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<string>>("v1/models", root => [.. root.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!)], cancellationToken);

    public Task<IReadOnlyList<PoolRow>> PoolsAsync(CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<PoolRow>>("admin/pools", root => [.. root.GetProperty("pools").EnumerateArray().Select(Row)], cancellationToken);

    public Task<IReadOnlyList<DecisionRow>> DecisionsAsync(string pool, CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<DecisionRow>>($"admin/pools/{Uri.EscapeDataString(pool)}/decisions", root => [.. root.GetProperty("decisions").EnumerateArray().Select(Decision)], cancellationToken);

    public Task<IReadOnlyList<DeadLetterRow>> DeadLettersAsync(int limit, CancellationToken cancellationToken) =>
        ReadAsync<IReadOnlyList<DeadLetterRow>>(string.Create(CultureInfo.InvariantCulture, $"admin/dead-letters?limit={limit}"), root => [.. root.GetProperty("data").EnumerateArray().Select(Letter)], cancellationToken);

    /// <summary>One dead letter with its body.</summary>
    public Task<DeadLetterRow> DeadLetterAsync(string id, CancellationToken cancellationToken) => ReadAsync($"admin/dead-letters/{Uri.EscapeDataString(id)}", Letter, cancellationToken);

    /// <summary>Sends a dead letter through again; the new request's id.</summary>
    public async Task<string> RedriveAsync(string id, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"admin/dead-letters/{Uri.EscapeDataString(id)}/redrive");
        using var response = await SendAsync(request, cancellationToken);
        using var document = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(cancellationToken), cancellationToken: cancellationToken);
        return document.RootElement.GetProperty("request").GetString()!;
    }

    public async Task RemoveDeadLetterAsync(string id, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, $"admin/dead-letters/{Uri.EscapeDataString(id)}");
        using var response = await SendAsync(request, cancellationToken);
    }

    /// <summary>Streams one answer.</summary>
    /// <exception cref="ServingClientException">The server refused it, failed, or broke off.</exception>
    public async IAsyncEnumerable<ChatUpdate> ChatAsync(
        IReadOnlyList<ChatTurn> conversation, ChatSettings settings, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/chat/completions") { Content = Body(conversation, settings) };
        using var response = await SendAsync(request, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var reader = new StreamReader(stream);

        var finish = "";
        while (await ReadLineAsync(reader, cancellationToken) is { } line)
        {
            if (line.StartsWith(':')) yield return new ChatUpdate.Waiting(line[1..].Trim());
            if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
            if (line == "data: [DONE]") yield break;

            using var chunk = JsonDocument.Parse(line["data: ".Length..]);
            if (chunk.RootElement.TryGetProperty("error", out var error)) throw new ServingClientException(error.GetProperty("message").GetString()!);

            foreach (var choice in chunk.RootElement.GetProperty("choices").EnumerateArray())
            {
                if (choice.GetProperty("delta").TryGetProperty("content", out var content) && content.GetString() is { Length: > 0 } text) yield return new ChatUpdate.Text(text);
                if (choice.TryGetProperty("finish_reason", out var reason) && reason.ValueKind == JsonValueKind.String) finish = reason.GetString()!;
            }

            if (chunk.RootElement.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
            {
                yield return new ChatUpdate.Done(finish, usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32());
            }
        }

        throw new ServingClientException("The connection closed before the answer ended; ask again.");
    }

    private static DeadLetterRow Letter(JsonElement letter) => new(
        letter.GetProperty("id").GetString()!,
        letter.TryGetProperty("model", out var model) ? model.GetString()! : "",
        letter.GetProperty("error").GetString()!,
        letter.GetProperty("message").GetString()!,
        letter.GetProperty("attempts").GetInt32(),
        DateTimeOffset.FromUnixTimeSeconds(letter.GetProperty("created_at").GetInt64()),
        letter.GetProperty("bytes").GetInt64(),
        letter.TryGetProperty("body", out var body) ? body.GetString() : null,
        letter.Clone());

    private static PoolRow Row(JsonElement pool)
    {
        string? reason = null;
        if (pool.TryGetProperty("lastDecision", out var decision) && decision.ValueKind == JsonValueKind.Object
            && decision.TryGetProperty("reasons", out var reasons) && reasons.GetArrayLength() > 0) reason = reasons[0].GetString();

        return new PoolRow(
            pool.GetProperty("name").GetString()!,
            pool.GetProperty("model").GetString()!,
            pool.GetProperty("state").GetString()!,
            pool.GetProperty("desired").GetInt32(),
            pool.GetProperty("ready").GetInt32(),
            pool.GetProperty("pendingTokens").GetInt64(),
            pool.GetProperty("runningTokens").GetInt64(),
            pool.GetProperty("kvUsed").GetDouble(),
            reason,
            pool.Clone());
    }

    private static ByteArrayContent Body(IReadOnlyList<ChatTurn> conversation, ChatSettings settings)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("model", settings.Model);
            if (settings.Temperature is { } temperature) json.WriteNumber("temperature", temperature);
            if (settings.MaxTokens is { } limit) json.WriteNumber("max_completion_tokens", limit);
            json.WriteBoolean("stream", true);
            json.WriteStartObject("stream_options");
            json.WriteBoolean("include_usage", true);
            json.WriteEndObject();
            json.WriteStartArray("messages");
            foreach (var turn in conversation)
            {
                json.WriteStartObject();
                json.WriteString("role", turn.Role);
                json.WriteString("content", turn.Content);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return new ByteArrayContent(buffer.ToArray()) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
    }

    private static DecisionRow Decision(JsonElement decision) => new(
        decision.GetProperty("at").GetDateTimeOffset(),
        decision.GetProperty("replicas").GetInt32(),
        decision.GetProperty("active").GetBoolean(),
        [.. decision.GetProperty("reasons").EnumerateArray().Select(reason => reason.GetString()!)],
        decision.TryGetProperty("inputs", out var inputs)
            ? inputs.EnumerateObject().ToDictionary(input => input.Name, input => Number(input.Value), StringComparer.Ordinal)
            : [],
        decision.Clone());

    private static string Number(JsonElement value) => value.ValueKind == JsonValueKind.Number ? value.GetDouble().ToString("0.###", CultureInfo.InvariantCulture) : value.ToString();

    private async Task<T> ReadAsync<T>(string path, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = await SendAsync(request, cancellationToken);
        try
        {
            using var document = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(cancellationToken), cancellationToken: cancellationToken);
            return read(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new ServingClientException($"{Server}{path} answers, but not as a gateway does. Give the address of a gateway with --url.", exception);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            throw new ServingClientException($"The answer of {Server} broke off: {exception.Message} Try again.", exception) { IsUnreachable = true };
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (HttpRequestException exception)
        {
            throw new ServingClientException($"No answer from {Server}: {exception.Message.TrimEnd('.')}. Is 'serverless up' running there? Give another address with --url or SERVERLESS_URL.", exception) { IsUnreachable = true };
        }

        if (response.IsSuccessStatusCode) return response;

        using (response)
        {
            var body = await response.Content.ReadAsStringAsync(cancellationToken);
            var hint = response.StatusCode == HttpStatusCode.Unauthorized ? " Give a key with --api-key or SERVERLESS_API_KEY." : "";
            throw new ServingClientException($"{(int)response.StatusCode}: {ErrorMessage(body) ?? NotOurs(body)}{hint}");
        }
    }

    /// <summary>Of a proxy's page, say, the beginning.</summary>
    private static string NotOurs(string body) => body.Length == 0 ? "no reason was given." : body.Length <= LongestReason ? body : $"{body[..LongestReason]}…";

    private static string? ErrorMessage(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.GetProperty("error").GetProperty("message").GetString();
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }

    private static async Task<string?> ReadLineAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadLineAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            throw new ServingClientException($"The answer broke off: {exception.Message}. Ask again.", exception);
        }
    }
}
