using System.Globalization;
using System.Text.Json;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Batches;

/// <summary>What a client asks for when it creates a batch, read.</summary>
internal static class BatchBody
{
    private const int MostPairs = 16;
    private const int LongestKey = 64;
    private const int LongestValue = 512;
    private const int LongestWindowText = 7;

    private static readonly TimeSpan ShortestWindow = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestWindow = TimeSpan.FromDays(7);
    private static readonly TimeSpan ShortestExpiry = TimeSpan.FromHours(1);
    private static readonly TimeSpan LongestExpiry = TimeSpan.FromDays(30);

    /// <exception cref="ServingException">It asks for none.</exception>
    public static Batch Read(byte[] body, Owner owner, DateTimeOffset now)
    {
        using var json = Parse(body);
        var root = json.RootElement;
        if (root.ValueKind != JsonValueKind.Object) throw Faulty("The body must be a JSON object with 'input_file_id', 'endpoint' and 'completion_window'.", null);

        var window = Text(root, "completion_window");
        var expires = root.TryGetProperty("output_expires_after", out var after) && after.ValueKind != JsonValueKind.Null ? Expiry(after) : (TimeSpan?)null;
        return new Batch
        {
            Id = BatchId.New().Value,
            Owner = owner,
            InputFileId = Text(root, "input_file_id"),
            Endpoint = Endpoint(Text(root, "endpoint")),
            CompletionWindow = window,
            Metadata = Metadata(root),
            OutputExpiresAfter = expires,
            CreatedAt = now,
            ExpiresAt = now + Window(window),
        };
    }

    private static JsonDocument Parse(byte[] body)
    {
        try
        {
            return JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 8, AllowDuplicateProperties = false });
        }
        catch (JsonException exception)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"The body is no valid JSON: {exception.Message}"), exception);
        }
        catch (InvalidOperationException exception) // as the parser has it, which compares names
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, "The body has a name that is no Unicode text, such as half of a surrogate pair."), exception);
        }
    }

    private static string Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && TextOf(value) is { Length: > 0 } text ? text : throw Faulty($"'{name}' is missing or no text; it is required.", name);

    private static string Endpoint(string path) =>
        ApiEndpoint.ByPath(path) is not null ? path : throw Faulty($"'endpoint' is '{Shown(path)}'; it must be {string.Join(" or ", ApiEndpoint.All.Select(row => $"'{row.Path}'"))}.", "endpoint");

    /// <summary>OpenAI has 24 hours; others may be asked for, in minutes, hours or days.</summary>
    private static TimeSpan Window(string text)
    {
        if (text.Length is >= 2 and <= LongestWindowText && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= 100_000)
        {
            var window = text[^1] switch
            {
                'm' => TimeSpan.FromMinutes(number),
                'h' => TimeSpan.FromHours(number),
                'd' => TimeSpan.FromDays(number),
                _ => TimeSpan.Zero,
            };
            if (window >= ShortestWindow && window <= LongestWindow) return window;
        }

        throw Faulty($"'completion_window' is '{Shown(text)}'; it must be '24h', or another time from '1m' to '7d' in minutes, hours or days.", "completion_window");
    }

    private static TimeSpan Expiry(JsonElement after)
    {
        if (after.ValueKind != JsonValueKind.Object || !after.TryGetProperty("anchor", out var anchor) || anchor.ValueKind != JsonValueKind.String || anchor.GetString() != "created_at")
        {
            throw Faulty("'output_expires_after' must be an object with 'anchor': 'created_at' and 'seconds'.", "output_expires_after");
        }

        return after.TryGetProperty("seconds", out var seconds) && seconds.ValueKind == JsonValueKind.Number && seconds.TryGetInt64(out var value) && value >= ShortestExpiry.TotalSeconds && value <= LongestExpiry.TotalSeconds
            ? TimeSpan.FromSeconds(value)
            : throw Faulty(string.Create(CultureInfo.InvariantCulture, $"'output_expires_after.seconds' must be an integer from {ShortestExpiry.TotalSeconds:0} to {LongestExpiry.TotalSeconds:0}."), "output_expires_after");
    }

    private static JsonElement? Metadata(JsonElement root)
    {
        if (!root.TryGetProperty("metadata", out var metadata) || metadata.ValueKind == JsonValueKind.Null) return null;
        if (metadata.ValueKind != JsonValueKind.Object) throw Faulty("'metadata' must be an object of texts.", "metadata");

        var count = 0;
        foreach (var pair in metadata.EnumerateObject())
        {
            if (++count > MostPairs) throw Faulty($"'metadata' has more than {MostPairs} pairs, the limit.", "metadata");
            var key = pair.Name;
            if (key.Length > LongestKey) throw Faulty($"The key '{Shown(key)}' of 'metadata' has {key.Length} characters; the limit is {LongestKey}.", "metadata");
            if (TextOf(pair.Value) is not { } text) throw Faulty($"The value of '{key}' in 'metadata' is no text.", "metadata");
            if (text.Length is > LongestValue and var length) throw Faulty($"The value of '{key}' in 'metadata' has {length} characters; the limit is {LongestValue}.", "metadata");
        }

        return metadata.Clone();
    }

    /// <summary>Null: it is no text, or none of Unicode.</summary>
    private static string? TextOf(JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64] + "…";

    private static ServingException Faulty(string message, string? param) => new(new ServingFault(ServingError.InvalidRequest, message, param));
}
