using System.Text;
using RabbitMQ.Client;
using Serverless.Errors;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>
/// How large the properties of a message may be. A client sends them as one frame, however large, and a broker answers one above <c>frame_max</c> by closing the connection, with all that
/// others have on it. So every value is bounded, and the whole before it is sent.
/// </summary>
internal static class HeaderBounds
{
    /// <summary>All properties together: less than the smallest frame_max there can be (4,096).</summary>
    public const int MaxBytes = 3500;

    /// <summary>One text of ours, such as the last error of a dead letter.</summary>
    public const int MaxTextBytes = 1024;

    /// <summary>AMQP's short strings: ids and types.</summary>
    private const int MaxShortBytes = 255;

    private const int FieldBytes = 8; // type, lengths, timestamps

    /// <summary>Why they may not be sent; null: they may.</summary>
    public static ServingFault? Check(IReadOnlyBasicProperties properties)
    {
        if (new[] { properties.MessageId, properties.Type, properties.ContentType, properties.CorrelationId }.FirstOrDefault(text => Bytes(text) > MaxShortBytes) is { } text)
        {
            return new ServingFault(ServingError.InvalidRequest, $"'{Cut(text, 64)}…' has {Bytes(text)} bytes and a message's id may have {MaxShortBytes}.");
        }

        var size = Size(properties);
        return size <= MaxBytes ? null : new ServingFault(ServingError.InvalidRequest, $"The message's properties have {size} bytes and may have {MaxBytes}: a broker drops the connection over more.");
    }

    /// <summary>Bytes of the properties on the wire; an upper bound.</summary>
    public static int Size(IReadOnlyBasicProperties properties)
    {
        string?[] texts = [properties.MessageId, properties.Type, properties.ContentType, properties.ContentEncoding, properties.CorrelationId, properties.ReplyTo, properties.Expiration, properties.UserId, properties.AppId, properties.ClusterId];
        return (8 * FieldBytes) + texts.Sum(text => 1 + Bytes(text)) + (properties.Headers?.Sum(header => Size(header.Key, header.Value)) ?? 0);
    }

    /// <summary>Bytes of one header; what is no plain value of ours counts as too many.</summary>
    public static int Size(string name, object? value) => FieldBytes + Bytes(name) + value switch
    {
        string text => Bytes(text),
        byte[] bytes => bytes.Length,
        null or bool or byte or sbyte or short or ushort or int or uint or long or ulong or float or double or AmqpTimestamp => FieldBytes,
        _ => MaxBytes,
    };

    /// <summary>A text cut to so many bytes, between two characters.</summary>
    public static string Cut(string text, int maxBytes)
    {
        if (Bytes(text) <= maxBytes) return text;

        Encoding.UTF8.GetEncoder().Convert(text, new byte[maxBytes], flush: false, out var characters, out _, out _);
        return text[..characters];
    }

    private static int Bytes(string? text) => text is null ? 0 : Encoding.UTF8.GetByteCount(text);
}
