using System.Collections.Frozen;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.Hosting.Dapr;

/// <summary>Takes the events that daprd delivers to <c>POST /events/{topic}</c>, hands each to the topic's handler, and answers SUCCESS, RETRY or DROP (which daprd dead-letters).</summary>
internal sealed partial class DaprEventReceiver(IEnumerable<IEventHandler> handlers, IConfiguration configuration, ILogger<DaprEventReceiver> logger)
{
    private readonly FrozenDictionary<string, IEventHandler> _handlers = handlers.ToFrozenDictionary(handler => handler.Topic, StringComparer.Ordinal);
    private readonly byte[]? _token = configuration["APP_API_TOKEN"] is { Length: > 0 } token ? Hash(token) : null;

    public async Task ReceiveAsync(HttpContext http)
    {
        if (!IsSidecar(http))
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            CallerRefused(http.Request.Path);
            return;
        }

        var answer = await AnswerAsync((string)http.Request.RouteValues["topic"]!, http);
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(answer switch
        {
            BrokerAnswer.Acknowledge => """{"status":"SUCCESS"}""",
            BrokerAnswer.Retry => """{"status":"RETRY"}""",
            _ => """{"status":"DROP"}""",
        }, http.RequestAborted);
    }

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));

    /// <summary>
    /// By <c>APP_API_TOKEN</c> in a time that tells nothing of it; where none is set, a caller of this machine that sends a CloudEvent: the sidecar does, and neither a page in a browser
    /// (which may post text to any address, but no other type unasked) nor a proxy on this machine, which says for whom it speaks.
    /// </summary>
    private bool IsSidecar(HttpContext http)
    {
        if (_token is null) return http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address) && !IsForwarded(http.Request.Headers) && IsCloudEvent(http.Request);
        return http.Request.Headers.TryGetValue(DaprNames.TokenHeader, out var given) && !StringValues.IsNullOrEmpty(given) && CryptographicOperations.FixedTimeEquals(Hash(given.ToString()), _token);
    }

    private static bool IsForwarded(IHeaderDictionary headers) => headers.ContainsKey("X-Forwarded-For") || headers.ContainsKey("Forwarded");

    private static bool IsCloudEvent(HttpRequest request) =>
        request.ContentType?.StartsWith(CloudEventJson.ContentType, StringComparison.OrdinalIgnoreCase) == true || request.Headers.ContainsKey("ce-id");

    private async Task<BrokerAnswer> AnswerAsync(string topic, HttpContext http)
    {
        if (!_handlers.TryGetValue(topic, out var handler))
        {
            TopicUnknown(topic);
            return BrokerAnswer.DeadLetter;
        }

        CloudEvent cloudEvent;
        try
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body, http.RequestAborted);
            cloudEvent = CloudEventJson.Decode(body.GetBuffer().AsMemory(0, (int)body.Length));
        }
        catch (InvalidDataException exception)
        {
            EventMalformed(topic, exception.Message);
            return BrokerAnswer.DeadLetter;
        }

        return await HandleAsync(handler, cloudEvent, http.RequestAborted);
    }

    private async Task<BrokerAnswer> HandleAsync(IEventHandler handler, CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        try
        {
            return await handler.HandleAsync(cloudEvent, cancellationToken);
        }
        catch (ServingException exception)
        {
            var answer = ServingErrors.Row(exception.Fault.Error).Broker;
            HandlerRefused(handler.Topic, cloudEvent.Id, exception.Fault.Error, answer);
            return answer;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            HandlerFailed(exception, handler.Topic, cloudEvent.Id);
            return BrokerAnswer.Retry;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a delivery to {Path} that does not come from the sidecar: its dapr-api-token is missing or wrong, or, where no APP_API_TOKEN is set, it comes from elsewhere or is no CloudEvent.")]
    private partial void CallerRefused(PathString path);

    [LoggerMessage(Level = LogLevel.Error, Message = "An event of topic {Topic} was delivered, which nothing here handles; it is dead-lettered. Remove the subscription.")]
    private partial void TopicUnknown(string topic);

    [LoggerMessage(Level = LogLevel.Warning, Message = "An event of topic {Topic} is dead-lettered: {Reason}")]
    private partial void EventMalformed(string topic, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Event {Event} of topic {Topic} was refused as {Error}; the broker is told: {Answer}.")]
    private partial void HandlerRefused(string topic, string @event, ServingError error, BrokerAnswer answer);

    [LoggerMessage(Level = LogLevel.Error, Message = "The handler of topic {Topic} failed on event {Event}; it is delivered again.")]
    private partial void HandlerFailed(Exception exception, string topic, string @event);
}
