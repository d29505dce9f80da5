namespace Serverless.Hosting.Dapr;

/// <summary>One document in an index.</summary>
/// <param name="Id">Its id.</param>
/// <param name="At">When it was added, in ms since 1970.</param>
/// <param name="KeptUntil">When it is gone at the earliest, rounded up, in ms since 1970; null: never.</param>
internal sealed record IndexEntry(string Id, long At, long? KeptUntil);
