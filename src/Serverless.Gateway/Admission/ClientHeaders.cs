using System.Globalization;
using Microsoft.AspNetCore.Http;
using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>What clients say in headers: how long they wait, and which conversation a request belongs to.</summary>
internal static class ClientHeaders
{
    /// <summary>Seconds for the whole answer, ours: whoever sends it means it.</summary>
    public const string Timeout = "X-Request-Timeout";

    /// <summary>Requests with the same value run one at a time, in order.</summary>
    public const string Conversation = "X-Conversation-Id";

    /// <summary>Seconds until OpenAI's SDKs give up waiting for headers, sent by themselves.</summary>
    private const string StainlessTimeout = "X-Stainless-Timeout";

    private const int LongestConversation = 128;

    /// <summary>Names a piece of work: asked for again under the same key it is the same request.</summary>
    public const string IdempotencyKey = "Idempotency-Key";

    private const int LongestIdempotencyKey = 255;

    /// <summary>How long the client wants the answer; null: it does not say.</summary>
    public static TimeSpan? ReadTimeout(IHeaderDictionary headers)
    {
        if (!headers.TryGetValue(Timeout, out var own)) return null;
        return ParseSeconds(own) ?? throw new ServingException(new ServingFault(
            ServingError.InvalidRequest, $"The header '{Timeout}' must be a number of seconds above 0; leave it out for the server's own.", Timeout));
    }

    /// <summary>How long the client's library waits for response headers. No person wrote it, so an odd value is passed over, where ours is refused.</summary>
    public static TimeSpan? ReadLibraryTimeout(IHeaderDictionary headers) => ParseSeconds(headers[StainlessTimeout]);

    public static string? ReadConversation(IHeaderDictionary headers)
    {
        if (!headers.TryGetValue(Conversation, out var values)) return null;

        var value = values.ToString();
        return value.Length is > 0 and <= LongestConversation
            ? value
            : throw new ServingException(new ServingFault(
                ServingError.InvalidRequest, $"The header '{Conversation}' has {value.Length} characters; it must have 1 to {LongestConversation}.", Conversation));
    }

    public static string? ReadIdempotencyKey(IHeaderDictionary headers)
    {
        if (!headers.TryGetValue(IdempotencyKey, out var values)) return null;

        var value = values.ToString();
        return value.Length is > 0 and <= LongestIdempotencyKey
            ? value
            : throw new ServingException(new ServingFault(
                ServingError.InvalidRequest, $"The header '{IdempotencyKey}' has {value.Length} characters; it must have 1 to {LongestIdempotencyKey}.", IdempotencyKey));
    }

    private static TimeSpan? ParseSeconds(string? text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds > 0
            ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0.001, 1e9))
            : null;
}
