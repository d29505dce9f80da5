using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>The few calls the tool makes to a gateway; any OpenAI client can make the same.</summary>
internal sealed class ServingClient : IDisposable
{
    private const int LongestReason = 300;

    /// <summary>How long a whole answer may take that no model gives.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly HttpClient _http;
    private readonly TimeProvider _time;

    public ServingClient(Uri server, string? apiKey, HttpMessageHandler handler, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
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
    public Task<string> RedriveAsync(string id, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Post, $"admin/dead-letters/{Uri.EscapeDataString(id)}/redrive", root => root.GetProperty("request").GetString()!, cancellationToken);

    public Task RemoveDeadLetterAsync(string id, CancellationToken cancellationToken) =>
        AskAsync(HttpMethod.Delete, $"admin/dead-letters/{Uri.EscapeDataString(id)}", static root => root.ValueKind == JsonValueKind.Object ? true : throw new FormatException(), cancellationToken);

    /// <summary>Streams one answer.</summary>
    /// <exception cref="ServingClientException">The server refused it, failed, or broke off.</exception>
    public async IAsyncEnumerable<ChatUpdate> ChatAsync(
        IReadOnlyList<ChatTurn> conversation, ChatSettings settings, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        const string Path = "v1/chat/completions";
        const string Data = "data: ";
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = Body(conversation, settings) };
        using var response = await SendAsync(request, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var reader = new StreamReader(stream);

        var (finish, isStream) = ("", false);
        while (await ReadLineAsync(reader, cancellationToken) is { } line)
        {
            if (line.StartsWith(':')) yield return new ChatUpdate.Waiting(line[1..].Trim());
            isStream |= line.StartsWith(':') || line.StartsWith(Data, StringComparison.Ordinal);
            if (!line.StartsWith(Data, StringComparison.Ordinal)) continue;
            if (line == "data: [DONE]") yield break;

            foreach (var update in Read(Path, Encoding.UTF8.GetBytes(line[Data.Length..]), chunk => Updates(chunk, ref finish))) yield return update;
        }

        throw isStream ? new ServingClientException("The connection closed before the answer ended; ask again.") : NotAGateway(Path);
    }

    /// <summary>The lines of an answer, as they come.</summary>
    /// <exception cref="ServingClientException">The server refused it, failed, or broke off.</exception>
    public async IAsyncEnumerable<string> LinesAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = await SendAsync(request, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var reader = new StreamReader(stream);
        while (await ReadLineAsync(reader, cancellationToken) is { } line) yield return line;
    }

    /// <summary>What one event of a stream says.</summary>
    private static List<ChatUpdate> Updates(JsonElement chunk, ref string finish)
    {
        if (chunk.TryGetProperty("error", out var error)) throw new ServingClientException(error.GetProperty("message").GetString()!);

        var updates = new List<ChatUpdate>();
        foreach (var choice in chunk.GetProperty("choices").EnumerateArray())
        {
            if (choice.GetProperty("delta").TryGetProperty("content", out var content) && content.GetString() is { Length: > 0 } text) updates.Add(new ChatUpdate.Text(text));
            if (choice.TryGetProperty("finish_reason", out var reason) && reason.ValueKind == JsonValueKind.String) finish = reason.GetString()!;
        }

        if (chunk.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
        {
            updates.Add(new ChatUpdate.Done(finish, usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32()));
        }

        return updates;
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

    private Task<T> ReadAsync<T>(string path, Func<JsonElement, T> read, CancellationToken cancellationToken) => AskAsync(HttpMethod.Get, path, read, cancellationToken);

    /// <summary>Asks, and reads a whole answer.</summary>
    /// <param name="method">How.</param>
    /// <param name="path">What.</param>
    /// <param name="read">Understands it.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <param name="content">What is sent along; disposed of.</param>
    /// <param name="longest">How long it may take; null: as an answer that no model gives.</param>
    /// <exception cref="ServingClientException">The server refused it, failed, or broke off.</exception>
    public async Task<T> AskAsync<T>(HttpMethod method, string path, Func<JsonElement, T> read, CancellationToken cancellationToken, HttpContent? content = null, TimeSpan? longest = null)
    {
        using var patience = new CancellationTokenSource(longest ?? Patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            using var request = new HttpRequestMessage(method, path) { Content = content };
            using var response = await SendAsync(request, either.Token);
            return Read(path, await response.Content.ReadAsByteArrayAsync(either.Token), read);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ServingClientException($"{Server} did not answer within {(longest ?? Patience).TotalSeconds:0} s. Try again, or give another address with --url or SERVERLESS_URL.", exception) { IsUnreachable = true };
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            throw new ServingClientException($"The answer of {Server} broke off: {exception.Message} Try again.", exception) { IsUnreachable = true };
        }
    }

    /// <summary>Understands what was answered: the one place where what is no gateway's is found out.</summary>
    private T Read<T>(string path, ReadOnlyMemory<byte> json, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return read(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw NotAGateway(path, exception);
        }
    }

    private ServingClientException NotAGateway(string path, Exception? exception = null) =>
        new($"{Server}{path} answers, but not as a gateway does. Give the address of a gateway with --url.", exception);

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
            throw (int)response.StatusCode is >= 300 and < 400 ? Moved(request, response) : await RefusedAsync(response, cancellationToken);
        }
    }

    private ServingClientException Moved(HttpRequestMessage request, HttpResponseMessage response)
    {
        var asked = request.RequestUri!.IsAbsoluteUri ? request.RequestUri : new Uri(Server, request.RequestUri);
        if (response.Headers.Location is not { } location) return new ServingClientException($"{(int)response.StatusCode}: {Server} sends elsewhere, and does not say where. Give the address of a gateway with --url.") { Status = response.StatusCode };

        // What was asked for is below the gateway's address there as it is here.
        var (there, path) = (new Uri(asked, location).AbsoluteUri, Server.MakeRelativeUri(asked).ToString());
        if (there.EndsWith(path, StringComparison.Ordinal)) there = there[..^path.Length];
        return new ServingClientException($"{(int)response.StatusCode}: {Server} has moved to {there}; give that with --url or SERVERLESS_URL.") { Status = response.StatusCode };
    }

    private static async Task<ServingClientException> RefusedAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = "";
        try
        {
            body = await response.Content.ReadAsStringAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException or InvalidOperationException)
        {
            // Its status says enough.
        }

        var (message, code) = ErrorOf(body);
        var hint = response.StatusCode switch
        {
            HttpStatusCode.Unauthorized => " Give a key with --api-key or SERVERLESS_API_KEY.",
            HttpStatusCode.NotFound when message is null || code == "unknown_url" => " Give the address of a gateway with --url or SERVERLESS_URL.",
            _ => "",
        };
        return new ServingClientException($"{(int)response.StatusCode}: {message ?? NotOurs(body)}{hint}")
        {
            Status = response.StatusCode,
            IsUnreachable = response.StatusCode is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout,
        };
    }

    /// <summary>Of a proxy's page, say, the beginning.</summary>
    private static string NotOurs(string body) => body.Length == 0 ? "no reason was given." : body.Length <= LongestReason ? body : $"{body[..LongestReason]}…";

    private static (string? Message, string? Code) ErrorOf(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var error = document.RootElement.GetProperty("error");
            return (error.GetProperty("message").GetString(), error.TryGetProperty("code", out var code) ? code.GetString() : null);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return (null, null);
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
