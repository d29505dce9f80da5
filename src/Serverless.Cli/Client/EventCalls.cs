using System.Globalization;
using System.Net.Http.Headers;

namespace Serverless.Cli.Client;

/// <summary>Calls about events.</summary>
internal sealed class EventCalls(ServingClient client)
{
    private const string Root = "admin/events";

    /// <summary>How long one call waits for a result.</summary>
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan SendPatience = TimeSpan.FromSeconds(60);

    public Uri Server => client.Server;

    /// <summary>Events as they pass, a line each; the first line, and one now and then, is empty.</summary>
    public IAsyncEnumerable<string> TailAsync(IReadOnlyList<string> topics, CancellationToken cancellationToken) =>
        client.LinesAsync(topics.Count == 0 ? Root : $"{Root}?{string.Join('&', topics.Select(topic => $"topic={Uri.EscapeDataString(topic)}"))}", cancellationToken);

    /// <summary>Sends an event, or the same again; the request that it asks for.</summary>
    public Task<EventRequestRow> SendAsync(string topic, byte[] cloudEvent, bool wait, CancellationToken cancellationToken)
    {
        var content = new ByteArrayContent(cloudEvent) { Headers = { ContentType = new MediaTypeHeaderValue("application/cloudevents+json") } };
        var query = wait ? string.Create(CultureInfo.InvariantCulture, $"?wait={Wait.TotalSeconds:0}") : "";
        return client.AskAsync(HttpMethod.Post, $"{Root}/{Uri.EscapeDataString(topic)}{query}", EventRequestRow.Of, cancellationToken, content, SendPatience);
    }
}
