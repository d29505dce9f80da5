using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Requests;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;

namespace Serverless.Gateway.Messaging;

/// <summary>Says what became of an inference, in messages. The same thing said again has the same message id. Thread-safe.</summary>
internal sealed class MessageReplies(IMessageSender sender, IOptions<MassTransitOptions> options)
{
    /// <summary>Who is to be told of the end of what this message asks for.</summary>
    public static MessageReply ReplyOf(ReceivedMessage<SubmitInference> received)
    {
        var result = received.Message.ResultAddress ?? (received.Message.ReplyWithId ? null : received.ResponseAddress);
        return new MessageReply
        {
            RequestId = received.Message.ReplyWithId ? null : received.RequestId,
            ConversationId = received.ConversationId,
            CorrelationId = received.Message.CorrelationId,
            ResultAddress = result?.OriginalString,
            FaultAddress = (received.FaultAddress ?? result)?.OriginalString,
        };
    }

    /// <summary>Whether all that the message names can be sent to.</summary>
    /// <exception cref="ServingException">One cannot.</exception>
    public void CheckAddresses(ReceivedMessage<SubmitInference> received)
    {
        (Uri? Address, string Name)[] addresses =
        [
            (received.Message.ResultAddress, nameof(SubmitInference.ResultAddress)),
            (received.Message.DeltaAddress, nameof(SubmitInference.DeltaAddress)),
            (received.ResponseAddress, nameof(received.ResponseAddress)),
            (received.FaultAddress, nameof(received.FaultAddress)),
        ];
        foreach (var (address, name) in addresses)
        {
            if (WhyNot(address, name) is { } fault) throw new ServingException(fault);
        }
    }

    /// <summary>Why what a message names cannot be sent to; null: it can, or it names nothing.</summary>
    public ServingFault? WhyNot(Uri? address, string name) =>
        address is not null && sender.WhyNot(address) is { } why ? new ServingFault(ServingError.InvalidRequest, $"'{name}' cannot be used: {why}.", name) : null;

    /// <summary>It is promised.</summary>
    public Task AcceptAsync(ReceivedMessage<SubmitInference> received, RequestRecord taken, CancellationToken cancellationToken) => sender.SendAsync(
        received.ResponseAddress,
        new InferenceAccepted
        {
            InferenceId = taken.Id,
            CorrelationId = received.Message.CorrelationId,
            Endpoint = taken.Endpoint.Value,
            Model = taken.Model,
            Deadline = taken.Deadline,
            Metadata = Metadata(taken),
        },
        Names(taken.Id, nameof(InferenceAccepted), received.RequestId, received.ConversationId, received.Message.CorrelationId, received.TraceParent),
        cancellationToken);

    /// <summary>It has ended. False: nothing hears where it is to be told.</summary>
    public Task<bool> EndAsync(RequestRecord ended, MessageReply reply, CancellationToken cancellationToken)
    {
        if (ended.Status == RequestStatus.Completed)
        {
            var names = Names(ended.Id, nameof(InferenceCompleted), reply.RequestId, reply.ConversationId, reply.CorrelationId, ended.Origin?.TraceParent);
            return sender.SendAsync(Address(reply.ResultAddress), Completed(ended, reply.CorrelationId), names, cancellationToken);
        }

        return sender.SendAsync(
            Address(reply.FaultAddress),
            Failed(ended, reply.CorrelationId),
            Names(ended.Id, nameof(InferenceFailed), reply.RequestId, reply.ConversationId, reply.CorrelationId, ended.Origin?.TraceParent),
            cancellationToken);
    }

    /// <summary>It was not taken.</summary>
    public Task RefuseAsync(ReceivedMessage<SubmitInference> received, RequestId? id, ServingFault fault, CancellationToken cancellationToken) => sender.SendAsync(
        received.FaultAddress is { } address && sender.WhyNot(address) is null ? address : received.ResponseAddress is { } response && sender.WhyNot(response) is null ? response : null,
        new InferenceFailed
        {
            InferenceId = id?.Value ?? "",
            CorrelationId = received.Message.CorrelationId,
            Code = ServingErrors.WordOf(fault),
            Message = fault.Message,
            Param = fault.Param,
            Retryable = ServingErrors.Row(fault.Error).Broker == BrokerAnswer.Retry,
            RetryAfter = fault.RetryAfter ?? ServingErrors.Row(fault.Error).RetryAfter,
            Metadata = received.Message.Metadata,
        },
        Names($"{id} {received.MessageId}", "refused", received.RequestId, received.ConversationId, received.Message.CorrelationId, received.TraceParent),
        cancellationToken);

    /// <summary>It could not be cancelled.</summary>
    public Task RefuseAsync(ReceivedMessage<CancelInference> received, ServingFault fault, CancellationToken cancellationToken) => sender.SendAsync(
        received.ResponseAddress,
        new InferenceFailed { InferenceId = received.Message.InferenceId ?? "", Code = ServingErrors.WordOf(fault), Message = fault.Message, Param = fault.Param },
        Names($"{received.MessageId}", "not cancelled", received.RequestId, received.ConversationId, null, received.TraceParent),
        cancellationToken);

    /// <summary>Deltas are to be sent, by whichever gateway takes that up.</summary>
    public Task FollowAsync(string id, SubmitInference asked, CancellationToken cancellationToken) => sender.SendAsync(
        new FollowInference { InferenceId = id, Address = asked.DeltaAddress, CorrelationId = asked.CorrelationId },
        new MessageNames(NameOf($"{id} {asked.DeltaAddress}", nameof(FollowInference), null)) { CorrelationId = asked.CorrelationId },
        cancellationToken);

    /// <summary>A message's id, made of what it says.</summary>
    public static Guid NameOf(string of, string kind, Guid? requestId) => new(SHA256.HashData(Encoding.UTF8.GetBytes($"{of}\n{kind}\n{requestId:N}")).AsSpan(0, 16));

    private static MessageNames Names(string of, string kind, Guid? requestId, Guid? conversationId, Guid? correlationId, string? trace) =>
        new(NameOf(of, kind, requestId)) { RequestId = requestId, ConversationId = conversationId, CorrelationId = correlationId, TraceParent = trace };

    private static Uri? Address(string? text) => text is null ? null : new Uri(text, UriKind.RelativeOrAbsolute);

    private InferenceCompleted Completed(RequestRecord ended, Guid? correlationId)
    {
        var response = ended.Response;
        var body = response?.GetRawText();
        return new InferenceCompleted
        {
            InferenceId = ended.Id,
            CorrelationId = correlationId,
            Endpoint = ended.Endpoint.Value,
            Model = ended.Model,
            Body = body is not null && Encoding.UTF8.GetByteCount(body) <= options.Value.MaxResultBytes ? body : null,
            Usage = UsageOf(response),
            FinishReasons = response is { } answer && answer.TryGetProperty("choices", out var choices) ? [.. choices.EnumerateArray().Select(choice => choice.GetProperty("finish_reason").GetString() ?? "")] : [],
            CreatedAt = ended.CreatedAt,
            EndedAt = ended.EndedAt ?? ended.CreatedAt,
            Metadata = Metadata(ended),
        };
    }

    private static InferenceUsage UsageOf(JsonElement? response) => response is { } answer && answer.TryGetProperty("usage", out var usage)
        ? new InferenceUsage
        {
            PromptTokens = usage.GetProperty("prompt_tokens").GetInt64(),
            CompletionTokens = usage.GetProperty("completion_tokens").GetInt64(),
            CachedTokens = usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt64(),
        }
        : new InferenceUsage();

    private static InferenceFailed Failed(RequestRecord ended, Guid? correlationId)
    {
        var isCancelled = ended.Status == RequestStatus.Cancelled;
        return new InferenceFailed
        {
            InferenceId = ended.Id,
            CorrelationId = correlationId,
            Code = isCancelled ? ServingErrors.WordOf(RequestFaults.Cancelled) : ended.Error?.GetProperty("code").GetString() ?? "invalid_request",
            Message = isCancelled ? RequestFaults.Cancelled.Message : ended.Error?.GetProperty("message").GetString() ?? "",
            Param = isCancelled ? null : ended.Error?.GetProperty("param").GetString(),
            Retryable = !isCancelled && ended.Error is not null && ended.FailedAs is not null && ended.MayPass,
            RetryAfter = isCancelled ? null : ended.FailedAs?.RetryAfter,
            Metadata = Metadata(ended),
        };
    }

    /// <summary>Another face's may be of any kind: what is no text is told as its JSON.</summary>
    private static Dictionary<string, string>? Metadata(RequestRecord record)
    {
        if (record.Metadata is not { ValueKind: JsonValueKind.Object } metadata) return null;

        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var field in metadata.EnumerateObject()) texts[field.Name] = field.Value.ValueKind == JsonValueKind.String ? field.Value.GetString()! : field.Value.GetRawText();
        return texts;
    }
}
