using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Serverless.Engines;
using Serverless.Loops;

namespace Serverless.Hosting.Loading;

/// <summary>HTTP as hubs and stores want it: redirects, to other servers without the token, what is overloaded asked again when it says so, answers and headers bounded. Thread-safe.</summary>
internal sealed class HubHttp : IDisposable
{
    /// <summary>Bytes of a listing.</summary>
    public const int MostListing = 32 << 20;

    private const int MostRedirects = 10;
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    private readonly ModelOptions _options;
    private readonly HttpClient _client;

    public HubHttp(ModelOptions options, TimeProvider time)
    {
        (_options, Time) = (options, time);
        _client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false, // the token goes along on the same server
            MaxResponseHeadersLength = 64,
            MaxConnectionsPerServer = 256,
            ConnectTimeout = options.Timeout,
            AutomaticDecompression = DecompressionMethods.None,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5), // a mirror's name may lead elsewhere by then
            UseCookies = false,
            ResponseDrainTimeout = TimeSpan.Zero,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan, // of files; silence is bounded
        };
        _client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("serverless", "1.0"));
        _client.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    public TimeProvider Time { get; }

    /// <summary>An answer's head; its body is to be read. Where it leads on is followed.</summary>
    /// <param name="address">Where.</param>
    /// <param name="token">Told to that server alone; null: none.</param>
    /// <param name="ask">Sets what else the request's head says.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="HttpRequestException">There is none, in time.</exception>
    public async Task<HttpResponseMessage> SendAsync(Uri address, string? token, Action<HttpRequestHeaders> ask, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_options.Timeout, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var at = address;
            for (var redirects = 0; ; redirects++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, at);
                ask(request.Headers);
                if (token is not null && IsOneServer(at, address)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
                var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
                if (redirects == MostRedirects || LeadOf(response, at) is not { } next) return response;
                response.Dispose();
                at = next;
            }
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException(string.Create(CultureInfo.InvariantCulture, $"it says nothing for {_options.Timeout.TotalSeconds:0.#} s"), exception);
        }
    }

    /// <summary>A document of JSON.</summary>
    /// <exception cref="ModelPullException">It cannot be had.</exception>
    public Task<JsonDocument> JsonAsync(Uri address, string? token, string source, CancellationToken cancellationToken, string accept = "application/json") => AgainAsync(source, async attempt =>
    {
        using var response = await SendAsync(address, token, headers => headers.Accept.ParseAdd(accept), attempt);
        Demand(response, source);
        using var limit = new CancellationTokenSource(_options.Timeout * 2, Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, attempt);
        await using var body = await response.Content.ReadAsStreamAsync(either.Token);
        var bytes = new MemoryStream();
        var buffer = new byte[64 << 10];
        try
        {
            for (int read; (read = await body.ReadAsync(buffer, either.Token)) > 0;)
            {
                bytes.Write(buffer, 0, read);
                if (bytes.Length > MostListing) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{source}: the listing at {Shown(address)} is longer than {MostListing} bytes; name a file, or another revision."));
            }

            return JsonDocument.Parse(bytes.GetBuffer().AsMemory(0, (int)bytes.Length));
        }
        catch (JsonException exception)
        {
            throw new ModelPullException($"{source}: {Shown(address)} answers no JSON: {exception.Message}", exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException("its answer does not end", exception);
        }
    }, cancellationToken);

    /// <summary>Asks, and again where it may help. What helps never is told at once.</summary>
    public async Task<T> AgainAsync<T>(string source, Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        var pauses = Pauses();
        while (true)
        {
            TimeSpan after;
            try
            {
                return await ask(cancellationToken);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or BusyException)
            {
                cancellationToken.ThrowIfCancellationRequested(); // a connection that was cut for it fails too
                var pause = pauses.Next();
                if (pauses.Failures >= _options.MaxFailures) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{source} cannot be reached, asked {pauses.Failures} times: {exception.Message}"), exception);
                after = Longer(exception, pause);
            }

            await Task.Delay(after, Time, cancellationToken);
        }
    }

    public Backoff Pauses() => new(_options.FirstPause, LongestPause);

    /// <summary>The pause, or what the server asked for.</summary>
    public static TimeSpan Longer(Exception exception, TimeSpan pause) => (exception as BusyException)?.After is { } wanted && wanted > pause ? wanted : pause;

    /// <summary>Success, or what its status says.</summary>
    /// <exception cref="BusyException">It may be another time.</exception>
    /// <exception cref="ModelPullException">It will not.</exception>
    public void Demand(HttpResponseMessage response, string source)
    {
        if (response.IsSuccessStatusCode) return;

        var (status, at) = ((int)response.StatusCode, Shown(response.RequestMessage!.RequestUri!));
        if (status is 408 or 425 or 429 or >= 500) throw new BusyException(string.Create(CultureInfo.InvariantCulture, $"{at} answers {status}"), RetryAfter(response));
        throw new ModelPullException(status switch
        {
            401 or 403 => string.Create(CultureInfo.InvariantCulture, $"{source}: {at} answers {status}: it wants a token or key that may read it (HF_TOKEN, {ModelOptions.Section}:HuggingFace:Token and alike), or its terms accepted with it."),
            404 or 410 => string.Create(CultureInfo.InvariantCulture, $"{source}: {at} answers {status}: there is no such model, revision or file, or only for those with a token; correct the source."),
            >= 300 and < 400 => string.Create(CultureInfo.InvariantCulture, $"{source}: {at} answers {status}: it leads on more than {MostRedirects} times, from https to http, or nowhere."),
            _ => string.Create(CultureInfo.InvariantCulture, $"{source}: {at} answers {status}."),
        });
    }

    public void Dispose() => _client.Dispose();

    /// <summary>Whether what one of them may know the other may know too.</summary>
    public static bool IsOneServer(Uri one, Uri other) => Uri.Compare(one, other, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0;

    /// <summary>Without what may be a secret: a signature is in the query.</summary>
    public static string Shown(Uri address) => address.GetLeftPart(UriPartial.Path);

    /// <summary>Where it leads on to; null: nowhere, or from https to http.</summary>
    private static Uri? LeadOf(HttpResponseMessage response, Uri at) =>
        (int)response.StatusCode is 301 or 302 or 303 or 307 or 308 && response.Headers.Location is { } location && Uri.TryCreate(at, location, out var next) && (next.Scheme == "https" || (next.Scheme == "http" && at.Scheme == "http")) ? next : null;

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        var wanted = response.Headers.RetryAfter is not { } after ? null : after.Delta ?? after.Date - Time.GetUtcNow();
        return wanted is not { } time ? null : time < TimeSpan.Zero ? TimeSpan.Zero : time > LongestPause ? LongestPause : time;
    }
}

/// <summary>Not now.</summary>
internal sealed class BusyException(string message, TimeSpan? after) : Exception(message)
{
    /// <summary>As it asks for; null where it does not.</summary>
    public TimeSpan? After => after;
}
