namespace Serverless.Documents;

/// <summary>Names one document.</summary>
/// <param name="Collection">The kind: <c>requests</c>, <c>batches</c>, …; lower case letters and dashes.</param>
/// <param name="Tenant">The organization whose it is: part of the key, so another tenant's is simply not there.</param>
/// <param name="Id">Unique within the collection and tenant; no <c>|</c>.</param>
public readonly record struct DocumentKey(string Collection, string Tenant, string Id)
{
    /// <summary>Found by its name alone: in no list, which costs a store without queries an index. The same for all of a collection.</summary>
    public bool IsUnlisted { get; init; }
}
