using System.Buffers;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Hosting.Configuration;
using Serverless.Requests;

namespace Serverless.Hosting.Dapr;

/// <summary>
/// Takes the events that daprd delivers to <c>POST /events/{topic}</c> and hands each to the topic's handler. SUCCESS: it is done with, or lies among the dead letters with the reason. RETRY: it
/// comes again. DROP, by which daprd puts an event away itself and without a reason, is for what is not read: too long, or not from the broker. Their bytes are taken from the process's
/// budget, where it has one, before they are read.
/// </summary>
internal sealed partial class DaprEventReceiver(
    IEnumerable<IEventHandler> handlers, IEventBus bus, IConfiguration configuration, IOptions<DaprOptions> options, ILogger<DaprEventReceiver> logger, ByteBudget? budget = null, TimeProvider? time = null, EventTap? tap = null)
{
    /// <summary>Whose bytes those of events are: no organization is called so. Their own are known only once they are read.</summary>
    private const string Events = "events from the broker";

    /// <summary>Of what we make of bytes that are no event.</summary>
    private const string OwnSource = "/serverless/gateway";

    private const int FirstStep = 16 * 1024;

    /// <summary>An event that finds no room is sent again, by some brokers at once: it is held for so long before.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly long _longest = options.Value.LongestEvent();

    /// <summary>What of that may find room: alone, events hold half of the budget.</summary>
    private readonly long _most = Math.Min(options.Value.LongestEvent(), (budget?.Limit / 2) ?? long.MaxValue);

    private readonly FrozenDictionary<string, IEventHandler> _handlers = handlers
        .SelectMany(handler => handler.Topics.Select(topic => (Topic: topic, Handler: handler))).ToFrozenDictionary(entry => entry.Topic, entry => entry.Handler, StringComparer.Ordinal);
    private readonly byte[]? _token = configuration["APP_API_TOKEN"] is { Length: > 0 } token ? Hash(token) : null;

    public async Task ReceiveAsync(HttpContext http)
    {
        if (!IsSidecar(http))
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            CallerRefused(http.Request.Path);
            return;
        }

        var isRefused = IsInvoked(http.Request) && !options.Value.AllowInvokedEvents;
        if (isRefused) InvocationRefused(http.Request.Path, http.Request.Headers[DaprNames.CallerHeader].ToString());
        if (isRefused && !http.Request.Headers.ContainsKey(DaprNames.ComponentHeader))
        {
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
            return;
        }

        // Some components bring a message's metadata as headers: an event that names a caller may be from the broker, which would send it again for ever if it were only refused.
        var answer = isRefused ? BrokerAnswer.DeadLetter : await AnswerAsync((string)http.Request.RouteValues["topic"]!, http);
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
        if (_token is null) return LocalCalls.IsLocal(http) && CloudEventHttp.Is(http.Request);
        return http.Request.Headers.TryGetValue(DaprNames.TokenHeader, out var given) && !StringValues.IsNullOrEmpty(given) && CryptographicOperations.FixedTimeEquals(Hash(given.ToString()), _token);
    }

    /// <summary>daprd gives the app's token with what another app asks by service invocation too, and says who asked. What the broker delivers has no caller.</summary>
    private static bool IsInvoked(HttpRequest request) => request.Headers.ContainsKey(DaprNames.CallerHeader) || request.Headers.ContainsKey(DaprNames.CalleeHeader);

    private async Task<BrokerAnswer> AnswerAsync(string topic, HttpContext http)
    {
        if (!_handlers.TryGetValue(topic, out var handler))
        {
            TopicUnknown(topic);
            return BrokerAnswer.Retry; // another gateway, of the next release, may handle it
        }

        // Kestrel's own limit is that of clients' bodies; what it cuts off the broker would send again for ever.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit) limit.MaxRequestBodySize = null;
        using var taken = new Taken(budget);
        switch (await ReadAsync(http.Request, taken, http.RequestAborted))
        {
            case { Length: var length } when length > _longest:
                EventTooLarge(topic, length, _longest);
                return BrokerAnswer.DeadLetter;
            case { Length: var length } when length > _most:
                NeverRoom(topic, length, _most, budget!.Limit);
                return BrokerAnswer.DeadLetter;
            case { Body: { } body }:
                return await DecodeAsync(topic, handler, http.Request, body, http.RequestAborted);
            default:
                NoRoom(topic, budget!.Limit);
                await Task.Delay(Pause, time ?? TimeProvider.System, http.RequestAborted);
                return BrokerAnswer.Retry;
        }
    }

    private async Task<BrokerAnswer> DecodeAsync(string topic, IEventHandler handler, HttpRequest request, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        CloudEvent cloudEvent;
        try
        {
            cloudEvent = CloudEventHttp.Decode(request, body);
        }
        catch (InvalidDataException exception)
        {
            EventMalformed(topic, exception.Message);
            return await PutAwayAsync(topic, Unread(body), new ServingFault(ServingError.MalformedMessage, exception.Message), cancellationToken);
        }

        if (topic is not (EventTopics.Results or EventTopics.Streams)) tap?.Saw(topic, cloudEvent); // those are the gateways' own, and were seen when they were published
        var verdict = await HandleAsync(topic, handler, cloudEvent, cancellationToken);
        return verdict.Answer == BrokerAnswer.DeadLetter ? await PutAwayAsync(topic, cloudEvent, verdict.Fault, cancellationToken) : verdict.Answer;
    }

    /// <summary>To the dead letters, with the reason, before it is acknowledged (ADR 21). One that is too long with its reason is put away by daprd, without.</summary>
    private async Task<BrokerAnswer> PutAwayAsync(string topic, CloudEvent refused, ServingFault? fault, CancellationToken cancellationToken)
    {
        try
        {
            await bus.PublishAsync(EventTopics.RequestsDead, DeadEvent.Of(refused, topic, fault), cancellationToken);
            return BrokerAnswer.Acknowledge;
        }
        catch (ServingException exception)
        {
            NotPutAway(topic, refused.Id, exception.Message);
            return exception.Fault.Error == ServingError.OutputTooLarge ? BrokerAnswer.DeadLetter : BrokerAnswer.Retry;
        }
    }

    /// <summary>What is no event, in one: the same bytes have the same id.</summary>
    private static CloudEvent Unread(ReadOnlyMemory<byte> body) => new()
    {
        Id = Convert.ToHexStringLower(SHA256.HashData(body.Span).AsSpan(0, 16)),
        Source = OwnSource,
        Type = "dev.serverless.event.malformed",
        Data = body,
    };

    /// <summary>
    /// The event and its length. One that is too long, or finds no room, is received to its end all the same, and not kept: a sidecar that is cut off while it sends hears no answer.
    /// </summary>
    private async Task<(ReadOnlyMemory<byte>? Body, long Length)> ReadAsync(HttpRequest request, Taken taken, CancellationToken cancellationToken)
    {
        var body = Array.Empty<byte>();
        var isKept = !(request.ContentLength is { } told) || (told <= _most && taken.TryGrow(ref body, (int)told));
        var length = 0L;
        while (true)
        {
            var read = await request.BodyReader.ReadAsync(cancellationToken);
            var end = length + read.Buffer.Length;
            isKept = isKept && end <= _most && (end <= body.Length || taken.TryGrow(ref body, (int)Math.Min(_most, Math.Max(end, Math.Max(FirstStep, 2L * body.Length)))));
            if (isKept) read.Buffer.CopyTo(body.AsSpan((int)length));
            else body = [];
            length = end;
            request.BodyReader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return (isKept ? body.AsMemory(0, (int)length) : (ReadOnlyMemory<byte>?)null, length);
        }
    }

    private async Task<BrokerVerdict> HandleAsync(string topic, IEventHandler handler, CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        try
        {
            return await handler.HandleAsync(cloudEvent, cancellationToken);
        }
        catch (ServingException exception)
        {
            var verdict = BrokerVerdict.Of(exception.Fault);
            HandlerRefused(topic, cloudEvent.Id, exception.Fault.Error, verdict.Answer);
            return verdict;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            HandlerFailed(exception, topic, cloudEvent.Id);
            return new BrokerVerdict(BrokerAnswer.Retry);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a call to {Path} that app '{Caller}' made by service invocation: events come from the broker. Dapr:AllowInvokedEvents lets every app post them that may invoke this one.")]
    private partial void InvocationRefused(PathString path, string caller);

    [LoggerMessage(Level = LogLevel.Error, Message = "An event of topic {Topic} is {Bytes} bytes; {Most} are read (Dapr:MaxMessageBytes), so it is dead-lettered and whoever sent it is not told: send less, or raise the limit.")]
    private partial void EventTooLarge(string topic, long bytes, long most);

    [LoggerMessage(Level = LogLevel.Warning, Message = "An event of topic {Topic} finds no room now among the {Limit} bytes of bodies that this process holds (Gateway:Admission:MaxTotalBytes). It is delivered again as often as the sidecar's resiliency says (components/resiliency.yaml: every 5 s, 60 times), and dead-lettered after that: where this goes on, start more gateways or raise the limit.")]
    private partial void NoRoom(string topic, long limit);

    [LoggerMessage(Level = LogLevel.Error, Message = "An event of topic {Topic} is {Bytes} bytes; events hold {Most} at once, half of Gateway:Admission:MaxTotalBytes, {Limit}. It can never be taken, so it is dead-lettered and whoever sent it is not told: send less, or raise the limit.")]
    private partial void NeverRoom(string topic, long bytes, long most, long limit);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Refused a delivery to {Path} that does not come from the sidecar: its dapr-api-token is missing or wrong, or, where no APP_API_TOKEN is set, it comes from elsewhere or is no CloudEvent.")]
    private partial void CallerRefused(PathString path);

    [LoggerMessage(Level = LogLevel.Error, Message = "An event of topic {Topic} was delivered, which nothing here handles. It is delivered again, in a roll-out to a gateway of the next release, and dead-lettered after the sidecar's last try; where no roll-out is under way, remove the subscription.")]
    private partial void TopicUnknown(string topic);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Event {Event} of topic {Topic} is refused and cannot be put to the dead letters now: {Reason}")]
    private partial void NotPutAway(string topic, string @event, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "An event of topic {Topic} is dead-lettered: {Reason}")]
    private partial void EventMalformed(string topic, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Event {Event} of topic {Topic} was refused as {Error}; the broker is told: {Answer}.")]
    private partial void HandlerRefused(string topic, string @event, ServingError error, BrokerAnswer answer);

    [LoggerMessage(Level = LogLevel.Error, Message = "The handler of topic {Topic} failed on event {Event}; it is delivered again.")]
    private partial void HandlerFailed(Exception exception, string topic, string @event);

    /// <summary>What one event has taken of the budget; given back when it has been handled.</summary>
    private sealed class Taken(ByteBudget? budget) : IDisposable
    {
        private long _bytes;

        public bool TryGrow(ref byte[] body, int length)
        {
            var more = length - body.Length;
            if (budget?.TryTake(Events, more) == false) return false;

            _bytes += more;
            Array.Resize(ref body, length);
            return true;
        }

        public void Dispose() => budget?.Return(Events, _bytes);
    }
}
