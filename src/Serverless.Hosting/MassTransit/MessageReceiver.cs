using System.Globalization;
using MassTransit;
using MassTransit.Serialization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.Hosting.MassTransit;

/// <summary>
/// What becomes of a message, whatever it says. Done: it is acknowledged. Not now: it is held for a moment, unacknowledged, then goes to the end of its queue as it came, byte for byte, with the
/// time of its first try; so one that waits for room lets others by. Never: it goes to <c>_error</c> with the reason. Thread-safe.
/// </summary>
internal sealed partial class MessageReceiver(IOptions<MassTransitOptions> options, MessageMetrics metrics, TimeProvider time, ILogger<MessageReceiver> logger)
{
    public const string TraceHeader = "traceparent";

    /// <summary>Of a message that came again: when it came first, in Unix milliseconds.</summary>
    public const string FirstTriedHeader = "serverless-first-tried";

    public async Task ReceiveAsync<T>(ConsumeContext<T> context, Func<ReceivedMessage<T>, CancellationToken, Task<BrokerVerdict>> handle)
        where T : class
    {
        var first = FirstTried(context) ?? time.GetUtcNow();
        var isLastTry = time.GetUtcNow() - first >= options.Value.RetryFor;
        BrokerAnswer? answer = null;
        metrics.Opened(typeof(T).Name);
        try
        {
            var verdict = await HandleAsync(context, isLastTry, handle);
            if (verdict.Answer == BrokerAnswer.Retry && isLastTry) verdict = BrokerVerdict.Refused(verdict.Fault!);
            if (verdict.Answer == BrokerAnswer.Retry)
            {
                LogRetried(typeof(T).Name, context.MessageId, verdict.Fault!.Error, verdict.Fault.Message);
                await ReturnAsync(context, first);
            }

            answer = verdict.Answer;
            if (verdict.Answer == BrokerAnswer.DeadLetter)
            {
                LogRefused(typeof(T).Name, context.MessageId, verdict.Fault!.Error, verdict.Fault.Message);
                throw new MessageRefusedException(verdict.Fault);
            }
        }
        finally
        {
            metrics.Closed(typeof(T).Name, answer);
        }
    }

    private async Task<BrokerVerdict> HandleAsync<T>(ConsumeContext<T> context, bool isLastTry, Func<ReceivedMessage<T>, CancellationToken, Task<BrokerVerdict>> handle)
        where T : class
    {
        var received = new ReceivedMessage<T>
        {
            Message = context.Message,
            MessageId = context.MessageId,
            RequestId = context.RequestId,
            ConversationId = context.ConversationId,
            ResponseAddress = context.ResponseAddress,
            FaultAddress = context.FaultAddress,
            TraceParent = TraceContext.Read(context.Headers.Get<string>(TraceHeader) ?? context.Headers.Get<string>("MT-Activity-Id")),
            IsLastTry = isLastTry,
        };
        try
        {
            return await handle(received, context.CancellationToken);
        }
        catch (ServingException exception)
        {
            return BrokerVerdict.Later(exception.Fault); // whoever handles it says what is refused for good
        }
        catch (Exception exception) when (!context.CancellationToken.IsCancellationRequested)
        {
            LogFailed(exception, typeof(T).Name, context.MessageId);
            return BrokerVerdict.Later(new ServingFault(ServingError.Internal, "The gateway failed on it."));
        }
    }

    /// <summary>To the end of its queue, confirmed, before this one is acknowledged: what is lost between the two comes twice, and is the same inference.</summary>
    private async Task ReturnAsync<T>(ConsumeContext<T> context, DateTimeOffset first)
        where T : class
    {
        await Task.Delay(options.Value.RetryPause, time, context.CancellationToken);
        while (true)
        {
            try
            {
                await SendBackAsync(context, first).WaitAsync(BusSender.Patience, time, context.CancellationToken); // it may never end: see there
                return;
            }
            catch (TimeoutException)
            {
                LogHeld(typeof(T).Name, context.MessageId, BusSender.Patience.TotalSeconds);
            }
        }
    }

    private async Task SendBackAsync<T>(ConsumeContext<T> context, DateTimeOffset first)
        where T : class
    {
        var received = context.ReceiveContext;
        var endpoint = await context.GetSendEndpoint(received.InputAddress);
        await endpoint.Send(
            context.Message,
            send =>
            {
                send.Serializer = new CopyBodySerializer(received.ContentType, received.Body); // as it came: a later release's fields stay
                send.MessageId = context.MessageId;
                send.RequestId = context.RequestId;
                send.CorrelationId = context.CorrelationId;
                send.ConversationId = context.ConversationId;
                send.ResponseAddress = context.ResponseAddress;
                send.FaultAddress = context.FaultAddress;
                if (context.ExpirationTime is { } expires) send.TimeToLive = Left(expires);
                send.Headers.Set(FirstTriedHeader, first.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture));
            },
            context.CancellationToken);
    }

    private TimeSpan Left(DateTime expires)
    {
        var left = expires.ToUniversalTime() - time.GetUtcNow().UtcDateTime;
        return left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1);
    }

    /// <summary>Beside the body: within it are its sender's words.</summary>
    private static DateTimeOffset? FirstTried(ConsumeContext context) =>
        context.ReceiveContext.TransportHeaders.TryGetHeader(FirstTriedHeader, out var value) && long.TryParse(value?.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds < DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds)
            : null;

    [LoggerMessage(LogLevel.Information, "{Type} {Message} is refused as {Error} and goes to the queue of errors: {Reason}")]
    private partial void LogRefused(string type, Guid? message, ServingError error, string reason);

    [LoggerMessage(LogLevel.Information, "{Type} {Message} cannot be taken now ({Error}) and is tried again: {Reason}")]
    private partial void LogRetried(string type, Guid? message, ServingError error, string reason);

    [LoggerMessage(LogLevel.Warning, "The broker has not taken {Type} {Message} back within {Seconds} s; it is sent again.")]
    private partial void LogHeld(string type, Guid? message, double seconds);

    [LoggerMessage(LogLevel.Error, "Failed on {Type} {Message}; it is tried again.")]
    private partial void LogFailed(Exception exception, string type, Guid? message);
}

/// <summary>How MassTransit is told that a message is put away; its text is the reason that stands beside the message.</summary>
internal sealed class MessageRefusedException(ServingFault fault) : Exception($"{ServingErrors.WordOf(fault)}: {fault.Message}");

internal sealed class SubmitInferenceConsumer(IInferenceMessages messages, MessageReceiver receiver) : IConsumer<SubmitInference>
{
    public Task Consume(ConsumeContext<SubmitInference> context) => receiver.ReceiveAsync(context, messages.SubmitAsync);
}

internal sealed class CancelInferenceConsumer(IInferenceMessages messages, MessageReceiver receiver) : IConsumer<CancelInference>
{
    public Task Consume(ConsumeContext<CancelInference> context) => receiver.ReceiveAsync(context, messages.CancelAsync);
}

internal sealed class FollowInferenceConsumer(IInferenceMessages messages, MessageReceiver receiver) : IConsumer<FollowInference>
{
    public Task Consume(ConsumeContext<FollowInference> context) => receiver.ReceiveAsync(context, messages.FollowAsync);
}
