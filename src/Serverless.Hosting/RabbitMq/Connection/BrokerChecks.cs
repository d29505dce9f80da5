using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>
/// What the broker's settings do to our queues. AMQP tells a client the version alone; the management API tells policies and queue types, and nobody tells <c>consumer_timeout</c>.
/// What cannot be checked is said, with what should be there; each thing once in a process. Thread-safe.
/// </summary>
internal sealed partial class BrokerChecks(IOptions<RabbitMqOptions> options, ILogger<BrokerChecks> logger) : IDisposable
{
    private const int LongestAnswer = 64 * 1024 * 1024;

    /// <summary>Keys of policies that take requests out of a queue, or answer for their consumer.</summary>
    private static readonly string[] Losing = ["delivery-limit", "max-length", "max-length-bytes", "message-ttl", "expires"];

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(5), MaxResponseContentBufferSize = LongestAnswer };
    private readonly Lock _lock = new();
    private readonly HashSet<string> _said = new(StringComparer.Ordinal);

    /// <summary>Logs what it finds. Never throws: a management API that is away, or of another kind than is known here, is worth a line and nothing else.</summary>
    public async Task RunAsync(BrokerVersion version, Topology topology, IReadOnlyCollection<ModelName> models, CancellationToken cancellationToken)
    {
        try
        {
            if (!version.HasQueueConsumerTimeout && !options.Value.ConsumerTimeoutIsSet && IsNew("consumer_timeout")) WarnTimeout(version.ToString(), (long)options.Value.LongestWait.TotalMilliseconds);
            if (options.Value.ManagementUrl is { } url)
            {
                foreach (var finding in await FindAsync(url, version, topology, models, cancellationToken))
                {
                    if (IsNew(finding)) WarnFinding(finding);
                }
            }
            else if (IsNew("unchecked"))
            {
                NoteUnchecked(options.Value.Prefix);
            }
        }
        catch (Exception exception)
        {
            if (cancellationToken.IsCancellationRequested) return;
            var (host, port) = options.Value.ManagementUrl is { } url ? (url.Host, url.Port) : ("", 0);
            if (IsNew("management")) WarnManagement(host, port, exception.GetBaseException().Message);
        }
    }

    /// <summary>A sentence for each thing that is not as it should be. Queues that are not there yet are declared when they are wanted.</summary>
    public async Task<IReadOnlyList<string>> FindAsync(Uri url, BrokerVersion version, Topology topology, IReadOnlyCollection<ModelName> models, CancellationToken cancellationToken)
    {
        var virtualHost = options.Value.Url.AbsolutePath.TrimStart('/') is { Length: > 0 } named ? named : "%2F";
        using var policies = await GetAsync(url, $"api/policies/{virtualHost}", cancellationToken);
        using var limits = await GetAsync(url, $"api/operator-policies/{virtualHost}", cancellationToken);
        using var queues = await GetAsync(url, $"api/queues/{virtualHost}?columns=name,type", cancellationToken);
        var types = (queues?.RootElement.EnumerateArray() ?? []).ToDictionary(queue => queue.GetProperty("name").GetString()!, queue => queue.TryGetProperty("type", out var type) ? type.GetString() : null, StringComparer.Ordinal);
        var findings = new List<string>();
        foreach (var queue in topology.Declarations(models, version, options.Value.LongestWait))
        {
            if (types.GetValueOrDefault(queue.Name) is { } type && type != queue.Type) findings.Add($"The queue '{queue.Name}' is a {type} queue and should be a {queue.Type} one; delete it when it is empty.");
            else if (!options.Value.Declare && !types.ContainsKey(queue.Name)) findings.Add($"The queue '{queue.Name}' is not there, and RabbitMq:Declare is off; run: serverless topology --declare.");
            findings.AddRange(PolicyOf(queue, policies).Concat(PolicyOf(queue, limits)));
        }

        return findings;
    }

    public void Dispose() => _http.Dispose();

    /// <summary>What the one policy that applies to a queue takes from it: of those that match its name, the one of the highest priority.</summary>
    private static IEnumerable<string> PolicyOf(QueueDeclaration queue, JsonDocument? policies)
    {
        var applied = (policies?.RootElement.EnumerateArray() ?? [])
            .Where(policy => policy.GetProperty("apply-to").GetString() != "exchanges" && Matches(policy.GetProperty("pattern").GetString()!, queue.Name))
            .OrderByDescending(policy => policy.GetProperty("priority").GetInt32())
            .Take(1);
        foreach (var policy in applied)
        {
            foreach (var key in Losing)
            {
                if (!policy.GetProperty("definition").TryGetProperty(key, out var value) || (key == "delivery-limit" && value.GetInt64() < 0)) continue;
                yield return $"The policy '{policy.GetProperty("name").GetString()}' sets {key} = {value.GetRawText()} on the queue '{queue.Name}': requests will be lost by it; take our queues out of its pattern.";
            }
        }
    }

    private static bool Matches(string pattern, string name)
    {
        try
        {
            return Regex.IsMatch(name, pattern, RegexOptions.None, TimeSpan.FromSeconds(1));
        }
        catch (Exception exception) when (exception is ArgumentException or RegexMatchTimeoutException)
        {
            return false; // the broker's dialect is not quite ours
        }
    }

    private bool IsNew(string finding)
    {
        lock (_lock) return _said.Add(finding);
    }

    /// <summary>Null: there is no such thing.</summary>
    private async Task<JsonDocument?> GetAsync(Uri url, string path, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(url, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(url.UserInfo))));
        using var answer = await _http.SendAsync(request, cancellationToken);
        if (answer.StatusCode == HttpStatusCode.NotFound) return null;

        answer.EnsureSuccessStatusCode();
        return JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(cancellationToken));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "RabbitMQ {Version} takes consumer_timeout from rabbitmq.conf alone and tells it to no client: set consumer_timeout = {Milliseconds} there (its default of 30 minutes makes it deliver long requests again), and then RabbitMq:ConsumerTimeoutIsSet.")]
    private partial void WarnTimeout(string version, long milliseconds);

    [LoggerMessage(Level = LogLevel.Information, Message = "No RabbitMq:ManagementUrl is set, so nobody checks that no policy limits the queues '{Prefix}.*'; see serverless topology.")]
    private partial void NoteUnchecked(string prefix);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Finding}")]
    private partial void WarnFinding(string finding);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The management API at {Host}:{Port} does not answer as expected ({Reason}); policies on our queues are not checked.")]
    private partial void WarnManagement(string host, int port, string reason);
}
