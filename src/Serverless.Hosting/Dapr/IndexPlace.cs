namespace Serverless.Hosting.Dapr;

/// <summary>Where a document's entry is in its tenant's index.</summary>
/// <param name="Page">Number of the page.</param>
/// <param name="At">When it was added, in ms since 1970: an entry added again is another one.</param>
/// <param name="KeptUntil">How long the page is kept for it at least, in ms since 1970; null: always.</param>
internal readonly record struct IndexPlace(long Page, long At, long? KeptUntil)
{
    /// <summary>Of a document that is in no index; releases that index every document find nothing there to change.</summary>
    public static IndexPlace None { get; } = new(-1, 0, null);
}
