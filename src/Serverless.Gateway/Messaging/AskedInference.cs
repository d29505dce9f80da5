using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;

namespace Serverless.Gateway.Messaging;

/// <summary>What a <see cref="SubmitInference"/> asks for, read.</summary>
/// <param name="Id">Its name, made of its message's: the same message is the same request.</param>
/// <param name="Name">What it is made of, for people.</param>
/// <param name="Endpoint">Which API takes the body.</param>
/// <param name="Body">As the endpoint takes it.</param>
/// <param name="Lane">The lane it asks for; null: as the body says.</param>
/// <param name="Metadata">Given back with the result; or null.</param>
internal sealed record AskedInference(RequestId Id, string Name, ApiEndpoint Endpoint, byte[] Body, Lane? Lane, JsonElement? Metadata)
{
    private const int LongestConversation = 128;
    private const int LongestKey = 255;
    private const int LongestMetadata = 16 * 1024;

    /// <summary>Reads it.</summary>
    /// <exception cref="ServingException">It is none.</exception>
    public static AskedInference Read(ReceivedMessage<SubmitInference> received, Lane highest)
    {
        var asked = received.Message;
        var endpoint = EndpointOf(asked);
        var name = NameOf(asked.IdempotencyKey, received.MessageId) ?? throw Faulty("The message has neither a MessageId nor an 'IdempotencyKey', so it cannot be told from another; send it through MassTransit, which gives it one.", nameof(SubmitInference.IdempotencyKey), ServingError.MalformedMessage);
        if (asked.IdempotencyKey?.Length > LongestKey) throw Faulty($"'IdempotencyKey' has {asked.IdempotencyKey.Length} characters; it must have 1 to {LongestKey}.", nameof(SubmitInference.IdempotencyKey));
        if (asked.Conversation is { } conversation && conversation.Length is 0 or > LongestConversation) throw Faulty($"'Conversation' has {asked.Conversation!.Length} characters; it must have 1 to {LongestConversation}.", nameof(SubmitInference.Conversation));
        if (asked.Timeout <= TimeSpan.Zero) throw Faulty($"'Timeout' is {asked.Timeout}; it must be more than 0. Leave it out for the server's own.", nameof(SubmitInference.Timeout));
        if (string.IsNullOrWhiteSpace(asked.Body)) throw Faulty("'Body' is empty; it must be the JSON that the endpoint takes, as text.", nameof(SubmitInference.Body));

        var body = BytesOf(asked.Body);
        if (asked.Model is { } model) body = ModelField.Set(body, model);
        return new AskedInference(IdOf(endpoint, name), name, endpoint, body, LaneOf(asked.Lane, highest), MetadataOf(asked.Metadata));
    }

    /// <summary>Hash of what is asked for.</summary>
    public string Fingerprint() => Call.FingerprintOf(Endpoint.Name, Body);

    /// <summary>What the same name would be called at the other endpoints.</summary>
    public IEnumerable<RequestId> IdsOfOtherEndpoints() => ApiEndpoint.All.Where(row => row != Endpoint).Select(row => IdOf(row, Name));

    /// <summary>The ids of what was asked for under a name: of each endpoint one.</summary>
    public static IEnumerable<RequestId> IdsOf(string? key, Guid? messageId) => NameOf(key, messageId) is { } name ? ApiEndpoint.All.Select(endpoint => IdOf(endpoint, name)) : [];

    private static string? NameOf(string? key, Guid? messageId) =>
        key is { Length: > 0 } ? $"key '{key}'" : messageId is { } id && id != Guid.Empty ? string.Create(CultureInfo.InvariantCulture, $"message {id:D}") : null;

    private static RequestId IdOf(ApiEndpoint endpoint, string name) => RequestId.Derive(endpoint.IdPrefix, Encoding.UTF8.GetBytes("masstransit\n" + name));

    private static ApiEndpoint EndpointOf(SubmitInference asked) => ApiEndpoint.All.FirstOrDefault(row => row.Name.Value == asked.Endpoint || row.Path == asked.Endpoint)
        ?? throw Faulty($"'Endpoint' must be {string.Join(" or ", ApiEndpoint.All.Select(row => $"'{row.Name}'"))}.", nameof(SubmitInference.Endpoint));

    private static byte[] BytesOf(string body)
    {
        try
        {
            return Strict.GetBytes(body);
        }
        catch (EncoderFallbackException exception)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"'Body' is no Unicode text: half of a surrogate pair at character {exception.Index}.", nameof(SubmitInference.Body)), exception);
        }
    }

    private static Encoding Strict { get; } = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static Lane? LaneOf(string? name, Lane highest)
    {
        if (name is null) return null;
        if (!Lanes.TryParse(name, out var lane)) throw Faulty($"'Lane' is '{name}'; it must be realtime, interactive or batch.", nameof(SubmitInference.Lane));
        if (lane < highest) throw Faulty($"'Lane' is '{name}'; the highest lane of messages is {highest.Name()}. Leave it out, or ask an operator to raise {MassTransitOptions.Section}:{nameof(MassTransitOptions.HighestLane)}.", nameof(SubmitInference.Lane), ServingError.NotPermitted);
        return lane;
    }

    private static JsonElement? MetadataOf(IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is null or { Count: 0 }) return null;

        var json = JsonSerializer.SerializeToUtf8Bytes(metadata, MessageJson.Default.IReadOnlyDictionaryStringString);
        if (json.Length > LongestMetadata) throw Faulty($"'Metadata' is {json.Length} bytes of JSON; at most {LongestMetadata} are kept.", nameof(SubmitInference.Metadata));
        return JsonElement.Parse(json);
    }

    private static ServingException Faulty(string message, string param, ServingError error = ServingError.InvalidRequest) => new(new ServingFault(error, message, param));
}

/// <summary>What messages carry beside bodies, without reflection.</summary>
[JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
internal sealed partial class MessageJson : JsonSerializerContext;
