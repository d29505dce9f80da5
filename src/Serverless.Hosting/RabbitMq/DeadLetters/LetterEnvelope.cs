using RabbitMQ.Client;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.DeadLetters;

/// <summary>
/// A dead letter as a message: the body as it came, what fits of the headers it came with, and why it was given up. A broker drops the connection over large headers, so those that are
/// not ours, or too long, stay behind.
/// </summary>
internal static class LetterEnvelope
{
    public const string ReasonHeader = "serverless-reason";
    public const string ErrorHeader = "serverless-last-error";
    public const string AttemptsHeader = "serverless-attempts";
    public const string QueueHeader = "serverless-queue";
    public const string AtHeader = "serverless-dead-at";

    /// <summary>Properties of a dead letter.</summary>
    public static BasicProperties Seal(IReadOnlyBasicProperties original, string queue, ServingFault reason, int attempts, DateTimeOffset now)
    {
        var properties = new BasicProperties
        {
            MessageId = string.IsNullOrEmpty(original.MessageId) ? $"dead-{Guid.NewGuid():n}" : original.MessageId,
            ContentType = original.ContentType is { Length: > 0 and <= 128 } type ? type : "application/octet-stream",
            Type = "serverless.request",
            Persistent = true,
            Headers = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                [ReasonHeader] = reason.Error.ToString(),
                [ErrorHeader] = HeaderBounds.Cut(reason.Message, HeaderBounds.MaxTextBytes),
                [AttemptsHeader] = attempts,
                [QueueHeader] = queue,
                [AtHeader] = now.ToUnixTimeMilliseconds(),
            },
        };
        var left = HeaderBounds.MaxBytes - HeaderBounds.Size(properties);
        foreach (var name in new[] { Envelope.VersionHeader, Envelope.ModelHeader, Envelope.RecordHeader })
        {
            if (HeaderValues.Find(original, name) is not { } value || HeaderBounds.Size(name, value) is var size && size > left) continue;
            properties.Headers[name] = value;
            left -= HeaderBounds.Size(name, value);
        }

        return properties;
    }

    /// <summary>Reads a dead letter, whatever it holds. Without its body, for a list: what it says of itself.</summary>
    public static DeadLetter Open(IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> message, bool withBody)
    {
        var request = Envelope.Unwrap(properties, message, int.MaxValue).Request;
        var body = request?.Body ?? message;
        var error = Enum.TryParse<ServingError>(HeaderValues.Text(HeaderValues.Find(properties, ReasonHeader)), out var known) ? known : ServingError.Internal;
        return new DeadLetter(
            properties.MessageId ?? "",
            new ServingFault(error, HeaderValues.Text(HeaderValues.Find(properties, ErrorHeader))),
            (int)(HeaderValues.Number(HeaderValues.Find(properties, AttemptsHeader)) ?? 0),
            DateTimeOffset.FromUnixTimeMilliseconds(HeaderValues.Number(HeaderValues.Find(properties, AtHeader)) ?? 0),
            withBody || request is null ? request : request with { Body = default, Shape = default },
            withBody ? body : default)
        { Bytes = body.Length };
    }
}
