using System.Globalization;
using System.Text.Json;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>What an engine is asked besides requests: each answer whole, of bounded length and in bounded time. Thread-safe.</summary>
internal sealed class EngineQuestions(HttpClient http, TimeProvider time)
{
    /// <summary>Bytes of an answer, at most; the client's own limit.</summary>
    public const int LongestAnswer = 1 << 20;

    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(10);

    public Uri Address => http.BaseAddress!;

    /// <summary>Its whole answer.</summary>
    /// <exception cref="HttpRequestException">There is none, in time and of a length that is read.</exception>
    public async Task<HttpResponseMessage> AskAsync(string path, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(AnswerLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await http.GetAsync(new Uri(path, UriKind.Relative), either.Token);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException(limit.IsCancellationRequested ? string.Create(CultureInfo.InvariantCulture, $"it says nothing for {AnswerLimit.TotalSeconds:0} s") : "it cannot be reached", exception); // HttpClient cancels what it cannot connect
        }
    }

    /// <summary>Its answer as JSON.</summary>
    /// <exception cref="HttpRequestException">There is none, in time and of a length that is read, or it is an error.</exception>
    /// <exception cref="JsonException">It is something else.</exception>
    public async Task<JsonElement> JsonAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await AskAsync(path, cancellationToken);
        using var answer = JsonDocument.Parse(await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(cancellationToken), new JsonDocumentOptions { MaxDepth = 32 });
        return answer.RootElement.Clone();
    }

    /// <summary>Its answer as text; null: it has none there.</summary>
    /// <exception cref="HttpRequestException">There is none, in time and of a length that is read.</exception>
    public async Task<string?> TextAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await AskAsync(path, cancellationToken);
        return response.IsSuccessStatusCode ? await response.Content.ReadAsStringAsync(cancellationToken) : null;
    }
}
