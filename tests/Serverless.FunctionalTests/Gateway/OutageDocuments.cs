using System.Collections.Concurrent;
using Serverless.Documents;
using Serverless.Errors;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A document store that can be away.</summary>
internal sealed class OutageDocuments(MemoryDocumentStore documents) : IDocumentStore
{
    public bool Away { get; set; }

    /// <summary>Runs before each save.</summary>
    public Func<DocumentKey, Task> BeforeSave { get; set; } = _ => Task.CompletedTask;

    /// <summary>Runs after each save; what it throws is the answer, and the document is saved.</summary>
    public Action<DocumentKey> AfterSave { get; set; } = _ => { };

    /// <summary>What it was asked to read: a collection for each list, a collection and an id for each document.</summary>
    public ConcurrentQueue<string> Reads { get; } = [];

    /// <summary>The largest document it says that it takes.</summary>
    public long MaxDocumentBytes { get; set; } = long.MaxValue;

    /// <summary>The largest it takes: a larger one fails as if it were away.</summary>
    public int LargestTaken { get; set; } = int.MaxValue;

    /// <summary>Whether there is no answer to a larger one, instead of one that says no.</summary>
    public bool IsBusy { get; set; }

    public ValueTask<Document?> GetAsync(DocumentKey key, CancellationToken cancellationToken)
    {
        Reads.Enqueue($"{key.Collection}/{key.Id}");
        return Here().GetAsync(key, cancellationToken);
    }

    public async ValueTask<string?> SaveAsync(DocumentKey key, ReadOnlyMemory<byte> json, SaveCondition condition, TimeSpan? timeToLive, CancellationToken cancellationToken)
    {
        await BeforeSave(key);
        if (json.Length > LargestTaken) throw IsBusy ? new ServingException(Backend.Away("document store").Fault, new TimeoutException()) : Backend.Away("document store");
        var saved = await Here().SaveAsync(key, json, condition, timeToLive, cancellationToken);
        AfterSave(key);
        return saved;
    }

    public ValueTask<bool> DeleteAsync(DocumentKey key, SaveCondition condition, CancellationToken cancellationToken) => Here().DeleteAsync(key, condition, cancellationToken);

    public ValueTask<IReadOnlyList<string>> ListAsync(string collection, string tenant, string? after, int limit, CancellationToken cancellationToken)
    {
        Reads.Enqueue(collection);
        return Here().ListAsync(collection, tenant, after, limit, cancellationToken);
    }

    private MemoryDocumentStore Here() => Away ? throw Backend.Away("document store") : documents;
}
