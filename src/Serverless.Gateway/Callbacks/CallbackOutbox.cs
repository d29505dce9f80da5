using System.Text.Json;
using System.Text.Json.Serialization;
using Serverless.Documents;
using Serverless.Requests;

namespace Serverless.Gateway.Callbacks;

/// <summary>Callbacks that are to be made: a document each, from the end of a request until its callback was delivered or given up. Any gateway may make any of them. Thread-safe.</summary>
internal sealed class CallbackOutbox(IDocumentStore documents)
{
    private const string Collection = "callbacks";

    /// <summary>The tenant under which all are listed: of no organization.</summary>
    private const string Everyone = "all";

    /// <summary>One that nobody comes back to, such as of a release that knew other fields, is forgotten after so long.</summary>
    private static readonly TimeSpan Keep = TimeSpan.FromDays(14);

    /// <summary>Puts one in; one that is there stays as it is.</summary>
    public async ValueTask AddAsync(DueCallback due, CancellationToken cancellationToken) => await documents.SaveAsync(Key(due.RequestId), Encode(due), SaveCondition.New, Keep, cancellationToken);

    /// <summary>Puts one in that is to be made now, whenever one that is there was to be. Whoever is making that one neither removes nor postpones this.</summary>
    public async ValueTask RenewAsync(DueCallback due, CancellationToken cancellationToken) => await documents.SaveAsync(Key(due.RequestId), Encode(due), SaveCondition.Any, Keep, cancellationToken);

    /// <summary>Names of all of them, at most so many from after one of them.</summary>
    public ValueTask<IReadOnlyList<string>> ListAsync(string? after, int limit, CancellationToken cancellationToken) => documents.ListAsync(Collection, Everyone, after, limit, cancellationToken);

    /// <summary>One of them; null: it is gone, or this release cannot read it and leaves it to others.</summary>
    public async ValueTask<StoredCallback?> FindAsync(string id, CancellationToken cancellationToken)
    {
        if (await documents.GetAsync(Key(id), cancellationToken) is not { } document) return null;

        try
        {
            return new StoredCallback(JsonSerializer.Deserialize(document.Json.Span, DueCallbackJson.Default.DueCallback)!, document.ETag);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Takes one that is due: nobody else does until <paramref name="until"/>. Null: another has it.</summary>
    public async ValueTask<StoredCallback?> ClaimAsync(StoredCallback stored, DateTimeOffset until, CancellationToken cancellationToken) => await SaveAsync(stored, stored.Due with { DueAt = until }, cancellationToken);

    /// <summary>It is tried again then.</summary>
    public async ValueTask PostponeAsync(StoredCallback claimed, DateTimeOffset dueAt, CancellationToken cancellationToken) =>
        await SaveAsync(claimed, claimed.Due with { DueAt = dueAt, Attempts = claimed.Due.Attempts + 1 }, cancellationToken);

    /// <summary>It is done.</summary>
    public async ValueTask RemoveAsync(StoredCallback claimed, CancellationToken cancellationToken) => await documents.DeleteAsync(Key(claimed.Due.RequestId), new SaveCondition(claimed.ETag), cancellationToken);

    private async ValueTask<StoredCallback?> SaveAsync(StoredCallback stored, DueCallback due, CancellationToken cancellationToken) =>
        await documents.SaveAsync(Key(due.RequestId), Encode(due), new SaveCondition(stored.ETag), Keep, cancellationToken) is { } etag ? new StoredCallback(due, etag) : null;

    private static DocumentKey Key(string id) => new(Collection, Everyone, id);

    private static byte[] Encode(DueCallback due) => JsonSerializer.SerializeToUtf8Bytes(due, DueCallbackJson.Default.DueCallback);
}

/// <summary>A callback that is to be made. Stored as JSON; a field is only ever added.</summary>
/// <param name="RequestId">Of the request that ended.</param>
/// <param name="Owner">Whose it is.</param>
/// <param name="Since">When it was first to be made.</param>
/// <param name="DueAt">When it is to be tried.</param>
/// <param name="Attempts">Tries that failed.</param>
internal sealed record DueCallback(string RequestId, Owner Owner, DateTimeOffset Since, DateTimeOffset DueAt, int Attempts)
{
    /// <summary>Fields of a later release, written back as they came.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Later { get; set; }
}

/// <summary>One as it is stored.</summary>
/// <param name="Due">The callback.</param>
/// <param name="ETag">Of that.</param>
internal sealed record StoredCallback(DueCallback Due, string ETag);

/// <summary>How they are stored.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DueCallback))]
internal sealed partial class DueCallbackJson : JsonSerializerContext;
