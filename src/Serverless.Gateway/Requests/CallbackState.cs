using System.Text.Json;
using System.Text.Json.Serialization;

namespace Serverless.Gateway.Requests;

/// <summary>Of a request whose end its client wants to be called about. Stored with its record.</summary>
/// <param name="Url">Where.</param>
/// <param name="Status">What became of it.</param>
internal sealed record CallbackState(string Url, CallbackStatus Status)
{
    /// <summary>Fields of a later release, written back as they came.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Later { get; set; }

    /// <summary>When it was delivered or given up.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>Tries, once it has come to an end.</summary>
    public int Attempts { get; init; }

    /// <summary>Why it was given up.</summary>
    public string? Error { get; init; }
}

/// <summary>Where a callback is. The names on the wire are these in snake case.</summary>
internal enum CallbackStatus
{
    /// <summary>The request has not ended, or it is being tried.</summary>
    Pending,

    /// <summary>Its receiver has it.</summary>
    Delivered,

    /// <summary>It was given up.</summary>
    Failed,
}
