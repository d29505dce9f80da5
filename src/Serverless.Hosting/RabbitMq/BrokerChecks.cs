using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Hosting.RabbitMq.Queues;

namespace Serverless.Hosting.RabbitMq;

/// <summary>
/// What the broker's settings do to our queues, checked once on each connection. AMQP tells a client the version alone; the management API tells policies and queue types, and
/// nobody tells <c>consumer_timeout</c>. What cannot be checked is said, with what should be there.
/// </summary>
internal sealed partial class BrokerChecks(IOptions<RabbitMqOptions> options, ILogger<BrokerChecks> logger) : IDisposable
{
    /// <summary>Keys of policies that take requests out of a queue, or answer for their consumer.</summary>
    private static readonly string[] Losing = ["delivery-limit", "max-length", "max-length-bytes", "message-ttl", "expires"];

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly HttpClient _http = new() { Timeout = Timeout };

    /// <summary>Logs what it finds; never fails the connection.</summary>
    public async Task RunAsync(BrokerVersion version, Topology topology, IReadOnlyCollection<ModelName> models, CancellationToken cancellationToken)
    {
        if (!version.HasQueueConsumerTimeout && !options.Value.ConsumerTimeoutIsSet) WarnTimeout(version.ToString(), (long)options.Value.LongestWait.TotalMilliseconds);
        if (options.Value.ManagementUrl is not { } url)
        {
            NoteUnchecked(options.Value.Prefix);
            return;
        }

        try
        {
            foreach (var finding in await FindAsync(url, version, topology, models, cancellationToken)) WarnFinding(finding);
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            WarnManagement(url.Host, url.Port, exception.Message);
        }
    }

    /// <summary>A sentence for each thing that is not as it should be.</summary>
    public async Task<IReadOnlyList<string>> FindAsync(Uri url, BrokerVersion version, Topology topology, IReadOnlyCollection<ModelName> models, CancellationToken cancellationToken)
    {
        var virtualHost = options.Value.Url.AbsolutePath.TrimStart('/') is { Length: > 0 } named ? named : "%2F";
        using var policies = await GetAsync(url, $"api/policies/{virtualHost}", cancellationToken);
        using var limits = await GetAsync(url, $"api/operator-policies/{virtualHost}", cancellationToken);
        var findings = new List<string>();
        foreach (var queue in topology.Declarations(models, version, options.Value.LongestWait))
        {
            using var found = await GetAsync(url, $"api/queues/{virtualHost}/{Uri.EscapeDataString(queue.Name)}", cancellationToken);
            if (found is null) findings.Add($"The queue '{queue.Name}' is not there; run: serverless topology --declare.");
            else if (found.RootElement.TryGetProperty("type", out var type) && type.GetString() != queue.Type) findings.Add($"The queue '{queue.Name}' is a {type.GetString()} queue and should be a {queue.Type} one; delete it when it is empty.");
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

    [LoggerMessage(Level = LogLevel.Warning, Message = "The management API at {Host}:{Port} does not answer ({Reason}); policies on our queues are not checked.")]
    private partial void WarnManagement(string host, int port, string reason);
}
