using System.Net;

namespace Serverless.Tests.Cli;

/// <summary>A gateway that answers by method and path (no status: it cannot be reached then), and remembers what it was asked.</summary>
internal sealed class CannedGateway(params (string Route, HttpStatusCode? Status, string Body)[] answers) : HttpMessageHandler
{
    private readonly List<HttpRequestMessage> _asked = [];
    private readonly List<string> _bodies = [];

    public IReadOnlyList<HttpRequestMessage> Asked => _asked;

    /// <summary>What was sent along with each; nothing: empty.</summary>
    public IReadOnlyList<string> Bodies => _bodies;

    /// <summary>Before each answer.</summary>
    public Action<int>? OnAsked { get; init; }

    /// <summary>One that a connection to cannot be made.</summary>
    public static HttpMessageHandler Unreachable => new CannedGateway();

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        _asked.Add(request);
        _bodies.Add(request.Content is { } content ? await content.ReadAsStringAsync(cancellationToken) : "");
        OnAsked?.Invoke(_asked.Count);
        cancellationToken.ThrowIfCancellationRequested();
        if (answers.Length == 0) throw new HttpRequestException($"Connection refused ({request.RequestUri!.Authority})");

        var route = $"{request.Method} {request.RequestUri!.PathAndQuery}";
        var ofRoute = answers.Where(answer => answer.Route == route).ToArray();
        if (ofRoute.Length == 0) return Answer(HttpStatusCode.NotFound, $$$"""{"error": {"message": "There is no route {{{route}}}."}}""");

        // The first time the first, then the next; the last one again and again.
        var times = _asked.Count(asked => asked.Method == request.Method && asked.RequestUri == request.RequestUri);
        var (_, status, body) = ofRoute[Math.Min(times, ofRoute.Length) - 1];
        return status is { } good ? Answer(good, body) : throw new HttpRequestException($"Connection refused ({request.RequestUri!.Authority})");
    }

    /// <summary>Of a redirect, the body is where to.</summary>
    private static HttpResponseMessage Answer(HttpStatusCode status, string body)
    {
        var answer = new HttpResponseMessage(status) { Content = new StringContent(body) };
        if ((int)status is >= 300 and < 400) answer.Headers.TryAddWithoutValidation("Location", body);
        return answer;
    }
}
