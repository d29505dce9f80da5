using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Serverless.Hosting.Webhooks;

/// <summary>
/// Posts webhooks to addresses that strangers name. Where a name leads is looked up when it is connected to, and what is not public is not called; redirects are not followed, proxies of the environment not
/// asked, answers not read. How many are sent at once is their sender's bound: one of connections to a host would have tenants wait for each other whose receivers share it. Thread-safe.
/// </summary>
public sealed class WebhookSender : IDisposable
{
    private static readonly TimeSpan PooledFor = TimeSpan.FromMinutes(1);

    private readonly HttpClient _http;
    private readonly WebhookLimits _limits;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;
    private readonly TimeProvider _time;

    /// <param name="limits">What may be called, and for how long.</param>
    /// <param name="time">The clock of signatures and of the limit.</param>
    /// <param name="resolve">Where a name leads; null: as DNS has it.</param>
    public WebhookSender(WebhookLimits limits, TimeProvider time, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        ArgumentNullException.ThrowIfNull(limits);
        (_limits, _time, _resolve) = (limits, time, resolve ?? Dns.GetHostAddressesAsync);
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            Credentials = null,
            MaxResponseHeadersLength = 16,
            PooledConnectionLifetime = PooledFor,
            ConnectCallback = ConnectAsync,
        };
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Sends it once, signed anew. Never throws but when it is cancelled.</summary>
    public async Task<WebhookAnswer> SendAsync(Webhook webhook, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(webhook);
        using var limit = new CancellationTokenSource(_limits.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var message = MessageOf(webhook);
            using var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either.Token);
            return AnswerOf(response);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return WebhookAnswer.Later(string.Create(CultureInfo.InvariantCulture, $"did not answer within {_limits.Timeout.TotalSeconds:0.#} s"));
        }
        catch (HttpRequestException exception) when (exception.InnerException is ForbiddenAddressException forbidden)
        {
            return WebhookAnswer.Never(forbidden.Message);
        }
        catch (HttpRequestException exception)
        {
            return WebhookAnswer.Later($"could not be reached: {exception.Message}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private HttpRequestMessage MessageOf(Webhook webhook)
    {
        var now = _time.GetUtcNow();
        var message = new HttpRequestMessage(HttpMethod.Post, webhook.Url) { Content = new ReadOnlyMemoryContent(webhook.Body), VersionPolicy = HttpVersionPolicy.RequestVersionOrLower };
        message.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        message.Headers.TryAddWithoutValidation("User-Agent", "serverless-webhooks");
        message.Headers.Add("webhook-id", webhook.Id);
        message.Headers.Add("webhook-timestamp", now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        message.Headers.Add("webhook-signature", WebhookSignature.Sign(webhook.Id, now, webhook.Body, webhook.Secrets));
        return message;
    }

    private WebhookAnswer AnswerOf(HttpResponseMessage response)
    {
        var status = (int)response.StatusCode;
        return status switch
        {
            >= 200 and < 300 => WebhookAnswer.Delivered,
            410 => WebhookAnswer.Never("answered 410: it takes no more of them"),
            >= 300 and < 400 => WebhookAnswer.Later(string.Create(CultureInfo.InvariantCulture, $"answered {status}; redirects are not followed")),
            _ => WebhookAnswer.Later(string.Create(CultureInfo.InvariantCulture, $"answered {status}")) with { RetryAfter = RetryAfter(response) },
        };
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } when date > _time.GetUtcNow() => date - _time.GetUtcNow(),
        _ => null,
    };

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await _resolve(host, cancellationToken);
        var allowed = _limits.AllowPrivateAddresses ? addresses : [.. addresses.Where(PublicAddresses.Contains)];
        if (allowed.Length == 0 && addresses.Length > 0)
            throw new ForbiddenAddressException($"leads to {string.Join(", ", addresses.Take(4).Select(address => address.ToString()))}, which is no public address; Gateway:Callbacks:AllowPrivateAddresses lets callbacks go there");

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(allowed, port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed class ForbiddenAddressException(string message) : IOException(message);
}

/// <summary>What webhooks may do.</summary>
/// <param name="Timeout">One of them, at most.</param>
/// <param name="AllowPrivateAddresses">Whether addresses may be called that are not public.</param>
public sealed record WebhookLimits(TimeSpan Timeout, bool AllowPrivateAddresses);

/// <summary>A webhook.</summary>
/// <param name="Url">Where it goes.</param>
/// <param name="Id">The same however often it is sent.</param>
/// <param name="Body">JSON.</param>
/// <param name="Secrets">It is signed with each.</param>
public sealed record Webhook(Uri Url, string Id, ReadOnlyMemory<byte> Body, IReadOnlyList<byte[]> Secrets);

/// <summary>What became of a webhook that was sent.</summary>
/// <param name="IsDelivered">Its receiver has it.</param>
/// <param name="MayPass">Another time it may be taken.</param>
/// <param name="Reason">Why it was not, after "it"; empty: it was.</param>
public sealed record WebhookAnswer(bool IsDelivered, bool MayPass, string Reason)
{
    /// <summary>When its receiver wants it again; null: it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    internal static WebhookAnswer Delivered { get; } = new(true, false, "");

    internal static WebhookAnswer Later(string reason) => new(false, true, reason);

    internal static WebhookAnswer Never(string reason) => new(false, false, reason);
}
