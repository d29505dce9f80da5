using System.Globalization;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>What clients say in headers: how long they wait, and which conversation a request belongs to.</summary>
internal static class ClientHeaders
{
    /// <summary>Seconds for the whole answer, ours: whoever sends it means it.</summary>
    public const string Timeout = "X-Request-Timeout";

    /// <summary>Requests with the same value run one at a time, in order.</summary>
    public const string Conversation = "X-Conversation-Id";

    /// <summary>Whom to call when what an id promised has ended.</summary>
    public const string Callback = "X-Callback-Url";

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

    /// <summary>As it came; null: nobody is to be called.</summary>
    public static string? ReadCallback(IHeaderDictionary headers) => headers.TryGetValue(Callback, out var values) ? values.ToString() : null;

    private static TimeSpan? ParseSeconds(string? text) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds > 0
            ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0.001, 1e9))
            : null;
}

/// <summary>What a client would like, by the <c>Prefer</c> header (RFC 7240). What is not understood is passed over, as the RFC has it; what was followed is told in <c>Preference-Applied</c>.</summary>
/// <param name="RespondAsync">An answer that takes longer than <paramref name="Wait"/> may come by an id.</param>
/// <param name="Wait">How long to wait before that; zero when nothing was said.</param>
/// <param name="Resume">How long its request runs on after its client went, so that it may come back; at most <see cref="LongestResume"/>; null: nothing was said.</param>
internal readonly record struct Preferences(bool RespondAsync, TimeSpan Wait, TimeSpan? Resume)
{
    public static readonly TimeSpan LongestResume = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    public static Preferences Read(IHeaderDictionary headers)
    {
        var (respondAsync, wait, resume) = (false, (TimeSpan?)null, (TimeSpan?)null);
        foreach (var text in headers.GetCommaSeparatedValues("Prefer"))
        {
            // Parameters belong to preferences that have some; ours have none.
            if (!NameValueWithParametersHeaderValue.TryParse(text, out var preference)) continue;

            var value = HeaderUtilities.RemoveQuotes(preference.Value).ToString();
            if (preference.Name.Equals("respond-async", StringComparison.OrdinalIgnoreCase)) respondAsync = true;
            else if (preference.Name.Equals("wait", StringComparison.OrdinalIgnoreCase)) wait ??= Seconds(value, LongestWait);
            else if (preference.Name.Equals("resume", StringComparison.OrdinalIgnoreCase)) resume ??= Seconds(value, LongestResume);
        }

        return new Preferences(respondAsync, wait ?? TimeSpan.Zero, resume);
    }

    /// <summary>As <c>Preference-Applied</c> says that an answer came, or may come, by an id.</summary>
    public string RespondAsyncApplied => Wait == TimeSpan.Zero ? "respond-async" : string.Create(CultureInfo.InvariantCulture, $"respond-async, wait={Wait.TotalSeconds:0}");

    private static TimeSpan? Seconds(string? text, TimeSpan limit) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(Math.Min(seconds, limit.TotalSeconds)) : null;
}
